"""Whole campaigns with their archive elsewhere: on a WebDAV server, in an S3 bucket, behind a network that fails."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator

import pytest
from archive_servers import S3Server, WebServer
from e2e.world import World, temporary_world
from faultproxy import FaultProxy, proxied

from facade.archive import open_archive

CAMPAIGN = """
project = AWAY
campaign = archives
reqnum = 3
unitname = u
ops_run_dir = ${project}/r${reqnum}/p${attnum:2}
blocklist = one, two
<block>
    <one>
        modulelist = half
        divide_jobs_by = n
    </one>
    <two>
        modulelist = sum
    </two>
</block>
n = 1, 2, 3
<filename_pattern>
    half = half-${n}-p${attnum:2}.dat
    sum = sum-p${attnum:2}.txt
    list = halves-p${attnum:2}.list
</filename_pattern>
<directory_pattern>
    <top>
        ops = ${ops_run_dir}/out
        runtime = out
    </top>
</directory_pattern>
<filetype_metadata>
    <seed>
        archive_path = seed
    </seed>
    <half>
        metadata_table = half
        <columns>
            n = int
        </columns>
    </half>
    <sum>
    </sum>
</filetype_metadata>
<module half>
    wrappername = generic
    wrapperloop = n
    <exec_1>
        execname = sh
        used = file.seed
        was_generated_by = file.half
        ancestry = file.seed:file.half
        <cmdline>
            c = 'head -c 400000 ${file.seed.fullname} > ${file.half.fullname}; echo ${n} >> ${file.half.fullname}'
        </cmdline>
    </exec_1>
    <file>
        <seed>
            filename = seed.dat
            dirpat = top
        </seed>
        <half>
            filetype = half
            filepat = half
            dirpat = top
        </half>
    </file>
</module>
<module sum>
    wrappername = generic
    <exec_1>
        execname = sh
        used = list.halves.half
        was_generated_by = file.sum
        ancestry = list.halves.half:file.sum
        <cmdline>
            c = 'cat $(cat ${list.halves.fullname}) | sha256sum > ${file.sum.fullname}'
        </cmdline>
    </exec_1>
    <list>
        <halves>
            depends = half.file.half
            sortkey = n
            columns = half.fullname
            filepat = list
            dirpat = top
        </halves>
    </list>
    <file>
        <half>
            listonly = True
            dirpat = top
        </half>
        <sum>
            filetype = sum
            filepat = sum
            dirpat = top
        </sum>
    </file>
</module>
"""
SEED = hashlib.shake_256(b"seed").digest(800_000)


@pytest.fixture(scope="module")
def campaign_home() -> Iterator[World]:
    """A home with the campaign and its own database; each test gives it another archive."""
    with temporary_world({"campaign.wcl": CAMPAIGN.encode(), "seed.dat": SEED}) as world:
        yield world


def settle(world: World, name: str, root: str, **options: str) -> None:
    """Have *world* keep its files in an archive of that name."""
    lines = [f"root = {root}", *[f"{key} = {value}" for key, value in options.items()]]
    text = [f"home_archive = {name}", "<archive>", f"<{name}>", *lines, f"</{name}>", "</archive>", "workers = 2", ""]
    (world.home / "site.wcl").write_text("\n".join(text))


def check(world: World, name: str, root: str, trouble: Callable[[], None] = lambda: None, **options: str) -> None:
    """Ingest, run, reuse; then see that the archive has what the registry says, and nothing else."""
    settle(world, name, root, **options)
    for _ in range(2):
        world.facade("ingest", "--filetype", "seed", "--definitions", "campaign.wcl", world.home / "seed.dat")
    trouble()  # for the jobs
    world.facade("submit", "campaign.wcl", "--wait", "--reuse", "none")
    latest = world.latest()
    assert latest["quanta"] == {"succeeded": 4}
    rows = world.rows(
        "select d.filename, d.compression, d.filesize, d.checksum, l.path from desfile d"
        f" join file_location l on l.desfile_id = d.id where l.archive_name = '{name}'"
    )
    archive = open_archive(name, root, options)
    assert len(rows) >= 10  # the seed, three halves, a list, a sum, four logs
    for row in rows:
        place = f"{row['path']}/{row['filename']}{row['compression']}"
        assert archive.holds(place, row["filesize"], row["checksum"]), place
    out = world.home / f"fetched-{name}"
    out.mkdir()
    (found,) = [row for row in rows if row["filename"].startswith("sum-")]
    archive.fetch(f"{found['path']}/{found['filename']}", out / "sum", found["filesize"], found["checksum"])
    halves = b"".join(SEED[:400_000] + f"{n}\n".encode() for n in (1, 2, 3))
    assert (out / "sum").read_text().split()[0] == hashlib.sha256(halves).hexdigest()
    shown = world.facade("submit", "campaign.wcl", "--wait", "--reuse", "unit")
    assert world.latest()["attnum"] == latest["attnum"], shown.stderr


def test_a_campaign_with_its_archive_on_a_web_server(campaign_home: World, webdav_server: WebServer) -> None:
    folder = f"w-{uuid.uuid4().hex[:8]}"
    (webdav_server.folder / folder).mkdir()
    check(campaign_home, "web", f"{webdav_server.url}/{folder}", transfers="2")
    names = [path.name for path in (webdav_server.folder / folder).rglob("*") if path.is_file()]
    assert "seed.dat" in names and not [name for name in names if ".part-" in name]


def test_a_campaign_with_its_archive_behind_a_password(campaign_home: World, digest_server: WebServer) -> None:
    (digest_server.folder / "secret").mkdir(exist_ok=True)
    netrc = campaign_home.home / "netrc"
    netrc.write_text("machine 127.0.0.1 login night password shift\n")
    netrc.chmod(0o600)
    check(campaign_home, "safe", f"{digest_server.url}/secret", credentials=str(netrc))
    runs = [path for path in (campaign_home.home / "runs").rglob("*") if path.is_file()]
    assert runs and not [path for path in runs if b"shift" in path.read_bytes()]


def test_a_campaign_with_its_archive_in_s3(campaign_home: World, s3_server: S3Server) -> None:
    bucket = f"b-{uuid.uuid4().hex[:8]}"
    client = s3_server.client()
    client.create_bucket(Bucket=bucket)
    check(campaign_home, "cloud", f"s3://{bucket}/survey", **s3_server.options)
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")


@pytest.fixture
def flaky(webdav_server: WebServer) -> Iterator[tuple[str, FaultProxy]]:
    folder = f"f-{uuid.uuid4().hex[:8]}"
    (webdav_server.folder / folder).mkdir()
    with proxied(webdav_server.port) as proxy:
        yield f"http://127.0.0.1:{proxy.port}/{folder}", proxy


@pytest.mark.parametrize(
    "fault",
    [
        lambda proxy: proxy.arm("cut", after=150_000, times=5),
        lambda proxy: proxy.arm("cut", up=True, after=150_000, times=5),
        lambda proxy: proxy.answer("503 Busy", times=5),
    ],
    ids=["cut down", "cut up", "busy"],
)
def test_a_campaign_over_a_network_that_fails(
    campaign_home: World,
    webdav_server: WebServer,
    flaky: tuple[str, FaultProxy],
    fault: Callable[[FaultProxy], None],
) -> None:
    root, proxy = flaky
    name = f"flaky{uuid.uuid4().hex[:6]}"
    check(campaign_home, name, root, lambda: fault(proxy), pause="0.05", tries="20")
    assert proxy.left == 0
    logs = (webdav_server.folder / root.rpartition("/")[2]).rglob("*.log")
    assert any(" tries, " in path.read_text() for path in logs), "a log says what had to be tried again"


def test_an_archive_that_cannot_be_reached_ends_jobs_that_may_be_run_again(
    campaign_home: World, flaky: tuple[str, FaultProxy]
) -> None:
    root, proxy = flaky
    settle(campaign_home, "lost", root, pause="0.05", tries="2")
    seed = campaign_home.home / "seed.dat"
    campaign_home.facade("ingest", "--filetype", "seed", "--definitions", "campaign.wcl", seed)
    proxy.answer("503 Busy", times=10_000)
    campaign_home.facade("submit", "campaign.wcl", "--wait", "--reuse", "none", code=1)
    failed = campaign_home.latest()
    classes = campaign_home.rows(f"select distinct failure_class from quantum where pfw_attempt_id = {failed['id']}")
    assert {"failure_class": "transfer"} in classes
    proxy.arm("none", times=0)
    campaign_home.facade("resume", failed["name"], "--wait")
    assert campaign_home.latest()["quanta"] == {"succeeded": 4}
