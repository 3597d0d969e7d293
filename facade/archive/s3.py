"""An archive in an S3 bucket. The only importer of botocore: of the libraries for S3 the one that the others stand on,
and the one that finds credentials as everybody's tools do.

A copy is sent as a multi-part upload: nobody sees its parts, each is verified as it arrives, those that have arrived
stay when another fails, and completing the upload is one act of the server, refused if the name is taken. That is the
two-phase store, without a second copy: an object under a temporary name would have to be copied to be renamed, which
takes time, is bounded at 5 GB, and killed half way leaves two objects. What a killed process leaves here are uploads
that are listed and swept; no object is ever half written.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from facade.archive.content import Content, Listed, Stat
from facade.archive.parts import private, reported
from facade.archive.remote import Body, Page, RemoteArchive, Taken, Tick
from facade.archive.transfers import Transfers, Transient
from facade.errors import InputError, MissingInputError, TransferError

try:
    import botocore.loaders
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        HTTPClientError,
        IncompleteReadError,
        NoCredentialsError,
    )
    from botocore.exceptions import (
        ConnectionError as NoConnection,
    )
except ImportError as _error:
    raise InputError("an archive in S3 needs botocore", remedy="pip install 'facade[s3]'") from _error

CHUNK, PART, MOST_PARTS = 1 << 20, 16 << 20, 10_000
"""Bytes that are read at once; of a part; and parts that an upload may have."""
PASSING = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504})
ALTERED = frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})
"""What S3 says when what arrived is not what was sent."""
SLOW = frozenset({"RequestTimeout", "RequestTimeTooSkewed", "SlowDown", "InternalError", "IncompleteBody"})


def open_s3(name: str, root: str, options: Mapping[str, str], transfers: Transfers) -> RemoteArchive:
    """Return the archive called *name* at the address *root*, ``s3://BUCKET/PREFIX``.

    *options*: ``endpoint`` (another server than Amazon's), ``region``, ``profile``, ``credentials`` (another file than
    ``~/.aws/credentials``), ``ca_file``, ``timeout``.

    Raises:
        InputError: no bucket is named, or credentials lie open.
    """
    return RemoteArchive(name, root, _store(root, tuple(sorted(options.items())), transfers.habits.timeout), transfers)


@lru_cache(8)
def _store(root: str, options: tuple[tuple[str, str], ...], timeout: float) -> S3Store:
    place = urlsplit(root)
    if not place.netloc:
        raise InputError(f"the archive {root} names no bucket", remedy="write s3://BUCKET/FOLDER")
    return S3Store(_client(dict(options), timeout), place.netloc, place.path.strip("/"))


def _client(options: Mapping[str, str], timeout: float) -> Any:
    session = botocore.session.Session(profile=options.get("profile") or None)
    session.register_component("data_loader", _loader())
    if named := options.get("credentials", ""):
        session.set_config_variable("credentials_file", str(private(Path(named))))
    elif (usual := Path(session.get_config_variable("credentials_file")).expanduser()).is_file():
        private(usual)
    endpoint = options.get("endpoint") or None
    config = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"total_max_attempts": 1},  # trying again is the business of `Transfers`, which counts
        s3={"addressing_style": "path"} if endpoint else {},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        return session.create_client(
            "s3",
            region_name=options.get("region") or session.get_config_variable("region") or "us-east-1",
            endpoint_url=endpoint,
            verify=options.get("ca_file") or None,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise InputError(f"cannot use S3: {error}") from error


@cache
def _loader() -> Any:
    """Return what reads the library's description of S3: half a second for the first client, nothing for others."""
    return botocore.loaders.create_loader()


class S3Store:
    """The objects below one prefix of a bucket; satisfies `facade.archive.remote.Store`."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self.client, self.bucket = client, bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._seen = False

    def address(self, key: str) -> str:
        """Return the address of a file as people write it."""
        return f"s3://{self.bucket}/{self._prefix}{key}"

    def at(self, key: str) -> dict[str, str]:
        """Return how S3 calls a file."""
        return {"Bucket": self.bucket, "Key": self._prefix + key}

    @contextlib.contextmanager
    def asking(self, key: str) -> Iterator[None]:
        """Turn what the library and S3 say about *key* into errors of facade."""
        try:
            yield
        except ClientError as error:
            raise self._refusal(error, key) from error
        except (HTTPClientError, IncompleteReadError, NoConnection) as error:
            raise Transient(f"{self.address(key)}: {error}") from error
        except NoCredentialsError as error:
            remedy = "put them into ~/.aws/credentials, or name a file as 'credentials' in the site file"
            raise TransferError(f"{self.address(key)}: no credentials for S3", remedy=remedy) from error
        except BotoCoreError as error:
            raise TransferError(f"{self.address(key)}: {error}") from error

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """Return size and, if we wrote it, checksum of a file; that costs nothing."""
        with self.asking(key):
            try:
                found = self.client.head_object(**self.at(key))
            except ClientError as error:
                if _status(error) != 404:
                    raise
                self._be_there()
                return None
        if "ContentLength" not in found:
            raise self._headless(key)
        return Stat(found["ContentLength"], found.get("Metadata", {}).get("sha256"))

    @contextlib.contextmanager
    def read(self, key: str, start: int, version: str) -> Iterator[Body]:
        """Open a file from byte *start* on."""
        wish = {"Range": f"bytes={start}-"} if start else {}
        if start and version:
            wish["IfMatch"] = version
        with self.asking(key):
            try:
                reply = self.client.get_object(**self.at(key), **wish)
            except ClientError as error:
                if _status(error) == 404 and error.response["Error"]["Code"] != "NoSuchBucket":
                    raise MissingInputError(f"{self.address(key)} is not in the archive") from error
                if _status(error) in (412, 416):
                    raise Transient(f"{self.address(key)}: it has changed while it was read") from error
                raise
        if not {"ContentLength", "ETag"} <= reply.keys():
            reply["Body"].close()
            raise self._headless(key)
        first = int(reply["ContentRange"].split()[1].partition("-")[0]) if "ContentRange" in reply else 0
        sum_of_all = reply.get("Metadata", {}).get("sha256")
        with contextlib.closing(reply["Body"]):
            yield Body(
                first, first + reply["ContentLength"], reply["ETag"], sum_of_all, self._pieces(key, reply["Body"])
            )

    def upload(self, source: Path, key: str, content: Content, tick: Tick) -> S3Upload:
        """Return the upload of *source*."""
        return S3Upload(self, source, key, content, tick)

    def remove(self, key: str) -> bool:
        """Delete a file."""
        found = self.stat(key)
        with self.asking(key):
            self.client.delete_object(**self.at(key))
        return found is not None

    def page(self, folder: str, more: str) -> Page:
        """Return a thousand objects below *folder*."""
        prefix = self._prefix + (f"{folder}/" if folder else "")
        with self.asking(folder):
            reply = self.client.list_objects_v2(
                Bucket=self.bucket, Prefix=prefix, **({"ContinuationToken": more} if more else {})
            )
        now = _server_time(reply)
        files = [
            Listed(one["Key"].removeprefix(self._prefix), one["Size"], now - one["LastModified"].timestamp())
            for one in reply.get("Contents", [])
            if not one["Key"].endswith("/")  # what some programs make to show a folder
        ]
        return Page(files, [], reply.get("NextContinuationToken", ""))

    def sweep(self, older_than: float) -> list[str]:
        """Abort uploads that were begun long ago."""
        swept: list[str] = []
        with self.asking(""):
            for page in self.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._prefix
            ):
                now = _server_time(page)
                for one in page.get("Uploads", []):
                    if now - one["Initiated"].timestamp() > older_than:
                        with contextlib.suppress(self.client.exceptions.NoSuchUpload):
                            self.client.abort_multipart_upload(
                                Bucket=self.bucket, Key=one["Key"], UploadId=one["UploadId"]
                            )
                        swept.append(one["Key"].removeprefix(self._prefix))
        return swept

    def _pieces(self, key: str, body: Any) -> Iterator[bytes]:
        while True:
            with self.asking(key):
                piece = body.read(CHUNK)
            if not piece:
                return
            yield piece

    def _be_there(self) -> None:
        """Raise TransferError if there is no such bucket: then a missing object means nothing."""
        if not self._seen:
            try:
                self.client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if _status(error) == 404:
                    raise self._no_bucket() from error
                if _status(error) != 403:  # who may not look at a bucket may still read in it
                    raise
            self._seen = True

    def _headless(self, key: str) -> Transient:
        """Return what is to be said of an answer whose headers were cut, which the library takes for a whole one."""
        return Transient(f"{self.address(key)}: the answer was cut before it said how long it is")

    def _no_bucket(self) -> TransferError:
        return TransferError(f"the archive {self.address('')} is not there", remedy="create the bucket")

    def _refusal(self, error: ClientError, key: str) -> TransferError:
        code, status = error.response["Error"].get("Code", ""), _status(error)
        message = f"{self.address(key)}: {error}"
        if code == "NoSuchBucket":
            return self._no_bucket()
        if code in ALTERED or code in SLOW or status in PASSING:
            return Transient(message)
        remedy = "see 'credentials' and 'profile' in the site file" if status in (401, 403) else ""
        return TransferError(message, remedy=remedy)


class S3Upload:
    """One copy on its way to S3, part by part."""

    def __init__(self, store: S3Store, source: Path, key: str, content: Content, tick: Tick) -> None:
        self._store, self._source, self._key, self._content, self._tick = store, source, key, content, tick
        self._size = max(PART, -(-content.size // MOST_PARTS))
        self._id = ""
        self._done: list[dict[str, Any]] = []
        self._digest = hashlib.sha256()

    def send(self) -> None:
        """Send the parts that have not arrived yet; each is verified. An empty file has none."""
        if not self._id and self._content.size:
            with self._store.asking(self._key):
                begun = self._store.client.create_multipart_upload(
                    **self._store.at(self._key), Metadata=self._metadata, ChecksumAlgorithm="SHA256"
                )
            self._id = begun["UploadId"]
        with reported(f"cannot read {self._source}"), open(self._source, "rb") as file:
            while (start := len(self._done) * self._size) < self._content.size:
                self._tick()
                file.seek(start)
                self._send_part(file.read(min(self._size, self._content.size - start)))
        if self._digest.hexdigest() != self._content.checksum:
            raise TransferError(f"{self._source} is no longer what was to be sent: {self._content}")

    def commit(self, *, replace: bool) -> None:
        """Complete the upload. That it is gone may mean that an earlier try completed it, and the answer was lost."""
        only_new = {} if replace else {"IfNoneMatch": "*"}
        with self._store.asking(self._key):
            try:
                if self._id:
                    self._store.client.complete_multipart_upload(
                        **self._named, MultipartUpload={"Parts": self._done}, **only_new
                    )
                else:
                    self._store.client.put_object(
                        **self._store.at(self._key), Body=b"", Metadata=self._metadata, **only_new
                    )
            except ClientError as error:
                if _status(error) == 412 or error.response["Error"].get("Code") == "NoSuchUpload":
                    raise Taken from error
                raise

    def discard(self) -> None:
        """Abort the upload; what cannot be aborted now will be swept."""
        if self._id:
            with contextlib.suppress(TransferError), self._store.asking(self._key):
                self._store.client.abort_multipart_upload(**self._named)

    @property
    def _metadata(self) -> dict[str, str]:
        return {"sha256": self._content.checksum}

    @property
    def _named(self) -> dict[str, str]:
        return {**self._store.at(self._key), "UploadId": self._id}

    def _send_part(self, data: bytes) -> None:
        number, sha256 = len(self._done) + 1, hashlib.sha256(data)
        checksum = b64encode(sha256.digest()).decode()
        with self._store.asking(self._key):
            reply = self._store.client.upload_part(**self._named, PartNumber=number, Body=data, ChecksumSHA256=checksum)
        self._check_part(data, reply)
        if len(data) == self._content.size:
            self._digest = sha256
        else:
            self._digest.update(data)
        self._done.append({"PartNumber": number, "ETag": reply["ETag"], "ChecksumSHA256": checksum})

    def _check_part(self, data: bytes, reply: Mapping[str, Any]) -> None:
        """Raise Transient if S3 has other bytes than we sent: some servers do not look at the checksum themselves.

        The ETag of a part is its MD5, unless S3 encrypts it with a key of its own service.
        """
        tag, encrypted = reply["ETag"].strip('"'), reply.get("ServerSideEncryption", "AES256") != "AES256"
        if encrypted or reply.get("SSECustomerAlgorithm") or not re.fullmatch("[0-9a-f]{32}", tag):
            return
        if tag != hashlib.md5(data, usedforsecurity=False).hexdigest():
            raise Transient(
                f"copy of {self._source} to {self._store.address(self._key)} is not what it should be: "
                f"part {len(self._done) + 1} arrived altered"
            )


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _server_time(reply: Mapping[str, Any]) -> float:
    """Return what S3's clock says."""
    try:
        return parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return time.time()
