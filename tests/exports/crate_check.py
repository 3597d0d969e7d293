"""Ask the RO-Crate validator about a crate: ``python crate_check.py FOLDER PROFILE…`` prints its complaints as JSON.

The validator wants two JSON-LD contexts from the network. It gets the terms that facade uses from here, and they mean
what they mean there (RO-Crate 1.1, appendix "RO-Crate JSON-LD"; Workflow Run RO-Crate, "terms").
"""

from __future__ import annotations

import email.message
import io
import json
import sys
import urllib.request
from typing import Any

import rdflib._networking
import rdflib.parser
import requests
import requests_cache

SCHEMA, RUN = "http://schema.org/", "https://w3id.org/ro/terms/workflow-run#"
NAMES = (
    "name description version about hasPart mentions author agent instrument object result startTime endTime"
    " CreateAction Dataset CreativeWork Person SoftwareApplication encodingFormat contentSize datePublished license"
    " url identifier actionStatus error softwareVersion isBasedOn"
)
CRATE = {name: SCHEMA + name for name in NAMES.split()} | {
    "File": SCHEMA + "MediaObject",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
}
WORKFLOW_RUN = {name: RUN + name for name in ("sha256", "environment", "containerImage")}
KIND = "application/ld+json"


def context(address: str) -> bytes:
    """Return what would come from there."""
    for part, terms in (("w3id.org/ro/crate/", CRATE), ("w3id.org/ro/terms/workflow-run", WORKFLOW_RUN)):
        if part in address:
            return json.dumps({"@context": terms}).encode()
    raise OSError(f"the network is not asked for {address}")


class Opened(io.BytesIO):
    """What ``urlopen`` returns."""

    status = code = 200

    def __init__(self, address: str) -> None:
        super().__init__(context(address))
        self.address, self.headers = address, email.message.Message()
        self.headers["Content-Type"] = KIND

    def geturl(self) -> str:
        """Return where it came from."""
        return self.address

    def info(self) -> email.message.Message:
        """Return the header."""
        return self.headers


def opened(request: Any, *_: object, **__: object) -> Opened:
    """Stand for ``urlopen``."""
    return Opened(request if isinstance(request, str) else request.full_url)


def answered(_: object, __: str, url: str, *___: object, **____: object) -> requests.Response:
    """Stand for ``requests.Session.request``."""
    response = requests.Response()
    response.status_code, response.url, response._content = 200, url, context(url)
    response.headers["Content-Type"] = KIND
    return response


def main() -> None:
    """Validate, and print what is wrong."""
    urllib.request.urlopen = opened  # type: ignore[assignment]
    rdflib._networking._urlopen = rdflib.parser._urlopen = opened
    requests.Session.request = answered  # type: ignore[method-assign,assignment]
    requests_cache.CachedSession.request = answered
    from rocrate_validator import models, services

    folder, *profiles = sys.argv[1:]
    complaints = {}
    for profile in profiles:
        settings = services.ValidationSettings(
            rocrate_uri=folder, profile_identifier=profile, requirement_severity=models.Severity.REQUIRED
        )
        found = services.validate(settings)
        complaints[profile] = [f"{one.check.identifier}: {one.message}" for one in found.get_issues()]
    json.dump(complaints, sys.stdout)


if __name__ == "__main__":
    main()
