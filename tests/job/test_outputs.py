"""What becomes of outputs in a job: cards, compression, what failed quanta leave, junk."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from job.house import House, sha256

from facade import plugins
from facade.job import junk

IMAGE = """\
import numpy as np
from astropy.io import fits
data = np.arange(100, dtype=np.uint16).reshape(10, 10)
hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, name="SCI")])
hdus[0].header["GAIN"] = 2.5
hdus.writeto("out/a.fits", checksum=CHECKSUM)
"""
IMAGETYPE = {"image": {"metadata_table": "image", "columns": {
    "seeing": {"type": "float", "source": "header:1:SEEING"}, "band": {"type": "text", "source": "header:BAND"},
    "size": {"type": "int", "source": "function:size_of"},
}}}  # fmt: skip


def card(key: str, value: list[Any], kind: str = "", source: str = "", hdus: tuple[str, ...] = ("0",)) -> list[Any]:
    return [list(hdus), key, value, "told", kind, source]


def handled(save: str = "file", compression: Any = None, **treatment: Any) -> list[Any]:
    """Return a handling as capsules have it, for the section file.out."""
    full = {"empty": False, "compress": False, "cards": [], **treatment}
    return [save, compression, {"file.out": list(full.values())}]


def outputs(house: House, run: int = 1) -> dict[str, dict[str, Any]]:
    """Return what is registered, logs left out, by name."""
    files = [file for line in house.lines(run) if line["kind"] == "outputs" for file in line["files"]]
    return {file["filename"] + file["compression"]: file for file in files if file["filetype"] != "log"}


def stored(house: House) -> set[str]:
    return {path.name for path in (house.archive / "red").glob("*")} if (house.archive / "red").exists() else set()


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that is registered as size_of."""
    found = plugins.function

    def of(name: str, permitted: Any = ()) -> Any:
        if name == "broken":
            return lambda file, metadata: 1 / 0
        return (lambda file, metadata: os.path.getsize(file)) if name == "size_of" else found(name, permitted)

    monkeypatch.setattr(plugins, "function", of)


class TestChecks:
    def test_all_that_is_wrong_is_told_at_once(self, house: House) -> None:
        code = "open('out/b.txt', 'w'); import os; os.symlink('/etc/passwd', 'out/c.txt'); os.mkdir('out/d.txt')"
        house.add(house.python(code), outputs=[house.output(f"{name}.txt") for name in "abcd"])
        assert house.run() == 1
        failure = house.ended()[41]["failure"]
        assert (failure["class"], failure["step"]) == ("output-missing", "collect")
        assert failure["message"].startswith(
            "promised outputs are not there: out/a.txt: not written; out/b.txt: empty; "
            "out/c.txt: a link out of the job directory, to /etc/passwd; out/d.txt: not a regular file; "
        )

    def test_an_output_that_may_be_empty(self, house: House) -> None:
        house.filetypes = IMAGETYPE
        house.add(house.python("open('out/a.fits', 'w')"), outputs=[house.output("a.fits", filetype="image")],
                  handling=handled(empty=True))  # fmt: skip
        assert house.run() == 0
        assert outputs(house)["a.fits"]["size"] == 0 and stored(house) == {"a.fits"}


class TestMetadata:
    def test_from_hdus_by_number_and_from_functions(self, house: House, function: None) -> None:
        house.filetypes = IMAGETYPE
        code = IMAGE.replace('hdus[0].header["GAIN"] = 2.5', 'hdus[1].header["SEEING"] = 0.7')
        house.add(house.python(code.replace("CHECKSUM", "False")), outputs=[house.output("a.fits", filetype="image")])
        assert house.run() == 0
        found = outputs(house)["a.fits"]
        assert found["metadata"] == {"visit": 1, "seeing": 0.7, "band": None, "size": found["size"]}

    def test_a_function_that_fails(self, house: House, function: None) -> None:
        house.filetypes = {
            "mid": {"metadata_table": "m", "columns": {"x": {"type": "int", "source": "function:broken"}}}
        }
        house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
        assert house.run() == 1
        assert "function 'broken' failed on a.txt: ZeroDivisionError" in house.ended()[41]["failure"]["message"]


class TestCards:
    @pytest.mark.parametrize("checksum", [True, False])
    def test_they_are_in_the_file_that_is_checksummed(self, house: House, function: None, checksum: bool) -> None:
        cards = [
            card("BAND", [["band", 0]], "str"),
            card("CCDNUM", [["visit", 3]], "", hdus=("0", "SCI")),
            card("REQ", ["r", ["reqnum", 0], "p", ["attnum", 2]]),
            card("DESFNAME", [["filename", 0]]),
            card("EXPTIME", ["30.50"]),
            card("GOOD", ["true"]),
            card("NUMBER", ["12"], "str"),
            card("GAIN", [], "float", "header:0:GAIN", ("1",)),
            card("SIZE", [], "", "function:size_of"),
        ]
        # more cards than fit into the block: the file has to be written anew
        cards += [card(f"X{number}", ["v" * 60]) for number in range(40)]
        house.filetypes = IMAGETYPE
        house.add(house.python(IMAGE.replace("CHECKSUM", str(checksum))), handling=handled(cards=cards),
                  outputs=[house.output("a.fits", filetype="image", metadata={"visit": 1, "band": "r"})])  # fmt: skip
        assert house.run() == 0
        file = house.archive / "red/a.fits"
        found = outputs(house)["a.fits"]
        assert (found["checksum"], found["metadata"]["band"]) == (sha256(file.read_bytes()), "r")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(file, checksum=True) as hdus:
                head = hdus[0].header
                told = {key: head[key] for key in ("BAND", "CCDNUM", "REQ", "DESFNAME", "EXPTIME", "GOOD", "NUMBER")}
                assert told == {"BAND": "r", "CCDNUM": 1, "REQ": "r11p01", "DESFNAME": "a.fits", "EXPTIME": 30.5,
                                "GOOD": True, "NUMBER": "12"}  # fmt: skip
                assert (head.comments["BAND"], hdus["SCI"].header["GAIN"], head["X39"]) == ("told", 2.5, "v" * 60)
                assert ("CHECKSUM" in head) == checksum
                assert head["SIZE"] > 5000
                assert hdus["SCI"].data.dtype.name == "uint16" and hdus["SCI"].data.sum() == 4950

    def test_a_link_is_not_written_through(self, house: House) -> None:
        raw = house.input("raw.fits", "")
        hdus = fits.HDUList([fits.PrimaryHDU()])
        hdus.writeto(house.archive / "raw/raw.fits", overwrite=True)
        data = (house.archive / "raw/raw.fits").read_bytes()
        raw |= {"size": len(data), "checksum": sha256(data)}
        code = "import os; os.link('in/raw.fits', 'out/a.fits'); os.symlink('../in/raw.fits', 'out/b.fits')"
        check = house.python(
            "import hashlib; print('sum', hashlib.sha256(open('in/raw.fits', 'rb').read()).hexdigest())"
        )
        house.add(house.python(code), inputs=[raw], outputs=[house.output("a.fits"), house.output("b.fits")],
                  handling=handled(cards=[card("X", ["1"])]))  # fmt: skip
        house.add(check)
        assert house.run() == 0
        assert f"sum {sha256(data)}" in house.log(2)
        for name in ("a.fits", "b.fits"):
            assert fits.getval(house.archive / "red" / name, "X") == 1

    @pytest.mark.parametrize(
        ("bad", "what"),
        [
            (card("X", [["band", 0]]), "card 'X': 'band' has no value here"),
            (card("X", ["a"], "int"), "card 'X': 'a' is no int"),
            (card("X", ["1"], hdus=("REF",)), "it has no HDU 'REF' (there are: PRIMARY, SCI)"),
            (card("X", [], "", "header:SCI:NONE"), "card 'X': HDU 'SCI' has no 'NONE' to copy"),
            (card("X", [["visit", 3]]), "card 'X': "),
        ],
    )
    def test_what_cannot_be_written(self, house: House, bad: list[Any], what: str) -> None:
        house.add(house.python(IMAGE.replace("CHECKSUM", "False")), handling=handled(cards=[bad]),
                  outputs=[house.output("a.fits", metadata={"visit": "x"})])  # fmt: skip
        assert house.run() == 1
        failure = house.ended()[41]["failure"]
        assert failure["class"] == "output-missing"
        assert failure["message"].startswith(f"cannot write into the header of a.fits: {what}")

    def test_a_file_that_is_no_fits(self, house: House) -> None:
        house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")], handling=handled(cards=[card("X", ["1"])]))
        assert house.run() == 1
        assert "cannot write into the header of a.txt" in house.ended()[41]["failure"]["message"]


GZIP = [["gzip", "-n", "${__UCFILE__}"], ".gz", True]
ZSTD = [["zstd", "-q", "${__UCFILE__}", "-o", "${__CFILE__}"], ".zst", True]


class TestCompression:
    def add(self, house: House, by: list[Any], *, save: bool = False, **more: Any) -> None:
        """Add a quantum whose output is compressed; the uncompressed file is saved too if *save*."""
        plain, made = house.output("a.txt", save=save), house.output("a.txt", compression=by[1])
        house.add(house.copy("out/a.txt", generated=["a.txt"]), outputs=[plain, made],
                  handling=handled("file", by, compress=True), **more)  # fmt: skip

    @pytest.mark.parametrize("by", [GZIP, ZSTD])
    def test_it_is_an_exec_with_edges_and_a_file_of_its_own(self, house: House, by: list[Any]) -> None:
        self.add(house, by)
        assert house.run() == 0
        first, second = [line for line in house.lines() if line["kind"] == "exec"]
        assert (first["execnum"], second["execnum"], second["name"]) == (1, 2, by[0][0])
        assert second["argv"][:3] == [word.replace("${__UCFILE__}", "out/a.txt") for word in by[0]][:3]
        assert second["used"] == [["a.txt", ""]]
        (line,) = [line for line in house.lines() if line["kind"] == "outputs"]
        assert line["derived"] == [[["a.txt", by[1]], ["a.txt", ""]]]
        found = outputs(house)
        name = f"a.txt{by[1]}"
        assert {key: (one["execnum"], one["metadata"]) for key, one in found.items()} == {
            "a.txt": (1, {"visit": 1}), name: (2, {"visit": 1})
        }  # fmt: skip
        assert stored(house) == {name}
        assert found[name]["checksum"] == sha256((house.archive / "red" / name).read_bytes())
        assert "--- exec 2" in house.log()

    def test_what_it_holds(self, house: House) -> None:
        self.add(house, GZIP)
        assert house.run() == 0
        assert gzip.decompress((house.archive / "red/a.txt.gz").read_bytes()) == b"MADE\n"

    def test_both_are_kept_though_gzip_removes_one(self, house: House) -> None:
        self.add(house, [*GZIP[:2], False], save=True)
        assert house.run() == 0
        assert stored(house) == {"a.txt", "a.txt.gz"}

    def test_a_later_quantum_of_the_job_reads_what_the_program_wrote(self, house: House) -> None:
        self.add(house, GZIP)
        house.add(house.copy("out/b.txt", "out/a.txt"), inputs=[house.made("a.txt")], outputs=[house.output("b.txt")])
        assert house.run() == 0
        assert stored(house) == {"a.txt.gz", "b.txt"}
        assert (house.archive / "red/b.txt").read_text() == "MADE\n"

    def test_or_the_compressed_file(self, house: House) -> None:
        self.add(house, GZIP)
        code = "import gzip; open('out/b.txt', 'wb').write(gzip.open('out/a.txt.gz').read() * 2)"
        house.add(house.python(code), inputs=[house.made("a.txt", compression=".gz")], outputs=[house.output("b.txt")])
        assert house.run() == 0
        assert (house.archive / "red/b.txt").read_text() == "MADE\nMADE\n"

    def test_an_output_that_is_a_link_in_the_job(self, house: House) -> None:
        plain, made = house.output("a.txt", save=False), house.output("a.txt", compression=".gz")
        code = "import os; open('x', 'w').write('x'); os.link('x', 'y'); os.symlink('../y', 'out/a.txt')"
        house.add(house.python(code, generated=["a.txt"]), outputs=[plain, made],
                  handling=handled("file", GZIP, compress=True))  # fmt: skip
        assert house.run() == 0
        assert gzip.decompress((house.archive / "red/a.txt.gz").read_bytes()) == b"x"

    def test_an_optional_output_that_was_not_made(self, house: House) -> None:
        plain = house.output("a.txt", save=False, optional=True)
        made = house.output("a.txt", compression=".gz", optional=True)
        house.add(house.python("pass", generated=["a.txt"]), outputs=[plain, made],
                  handling=handled("file", GZIP, compress=True))  # fmt: skip
        assert house.run() == 0
        assert outputs(house) == {}

    @pytest.mark.parametrize(
        ("argv", "kind", "what"),
        [
            (["false", "${__UCFILE__}"], "exec-failed", "exec 2 (false) exited with 1"),
            (["true", "${__UCFILE__}"], "output-missing", "true compressed a.txt, but a.txt.gz is not written"),
            (["no-such-program", "${__UCFILE__}"], "exec-failed", "program 'no-such-program' not found"),
        ],
    )
    def test_a_program_that_does_not_do_it(self, house: House, argv: list[str], kind: str, what: str) -> None:
        self.add(house, [argv, ".gz", True])
        assert house.run() == 1
        failure = house.ended()[41]["failure"]
        assert (failure["class"], what in failure["message"]) == (kind, True)
        assert stored(house) == set()

    def test_a_name_that_looks_like_an_option(self, house: House) -> None:
        plain, made = (house.output("-a b.txt", path="", compression=c) for c in ("", ".gz"))
        house.add(house.python("open('-a b.txt', 'w').write('x')", generated=["-a b.txt"]),
                  outputs=[plain, made], handling=handled("file", GZIP, compress=True))  # fmt: skip
        assert house.run() == 0
        assert stored(house) == {"-a b.txt", "-a b.txt.gz"}


class TestFailed:
    def fail(
        self, house: House, save: str, code: str = "open('out/a.txt', 'w').write('half'); raise SystemExit(3)"
    ) -> None:
        house.filetypes = {"mid": {"metadata_table": "image", "columns": {}}}
        outs = [house.output("a.txt"), house.output("b.txt", save=False)]
        house.add(house.python(code), outputs=outs, handling=handled(save))
        assert house.run() == 1

    @pytest.mark.parametrize("save", ["failure", "always", "rand_99"])
    def test_what_it_made_is_kept_under_a_name_that_nothing_looks_for(self, house: House, save: str) -> None:
        self.fail(house, save)
        assert stored(house) == {"a.txt.failed"}
        (found,) = outputs(house).values()
        assert (found["filename"], found["filetype"], found["metadata"], found["metadata_table"], found["execnum"]) == (
            "a.txt.failed", "failed", {}, "", 1
        )  # fmt: skip
        assert house.ended()[41]["state"] == "failed"

    def test_nothing_is_kept_otherwise_but_the_log(self, house: House) -> None:
        self.fail(house, "file")
        assert stored(house) == set() and outputs(house) == {}
        assert "exited with 3" in house.log()

    def test_a_run_never_writes_over_what_another_left_and_success_has_the_name(self, house: House) -> None:
        fails = (
            "import os, sys; n = len(os.listdir(sys.argv[1])); open('out/a.txt', 'w').write(str(n)); sys.exit(n < 3)"
        )
        counter = house.root / "counter"
        counter.mkdir()
        code = f"import os; open(os.path.join({str(counter)!r}, str(len(os.listdir({str(counter)!r})))), 'w')\n{fails}"
        house.add(house.python(code), outputs=[house.output("a.txt")], handling=handled("failure"))
        house.quanta[0]["execs"][0]["argv"].append(str(counter))
        assert [house.run(), house.run(), house.run()] == [1, 1, 0]
        texts = {path.name: path.read_text() for path in (house.archive / "red").iterdir()}
        assert texts == {"a.txt.failed": "1", "a.txt.failed_t2": "2", "a.txt": "3"}

    def test_links_out_are_not_followed(self, house: House) -> None:
        self.fail(
            house, "failure", "import os; os.symlink('/etc/passwd', 'out/a.txt'); open('out/b.txt', 'w').write('b')"
        )
        assert stored(house) == {"b.txt.failed"}

    def test_all_is_kept_of_a_drawn_attempt(self, house: House) -> None:
        house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt", save=False)], handling=handled("rand_99"))
        assert house.run() == 0
        assert stored(house) == {"a.txt"}


JUNK = """\
import os
open("out/a.txt", "w").write("made")
open("core", "w").write("c" * 500)
os.mkdir("deep"); open("deep/x y.tmp", "w").write("x")
os.symlink("/etc/passwd", "deep/link"); os.mkfifo("deep/pipe"); os.symlink("/etc", "etc")
raise SystemExit(CODE)
"""


class TestJunk:
    def members(self, house: House, name: str = "Ht0_r11p01_j000007_junk.tar.gz") -> dict[str, bytes]:
        path = house.archive / "log/step" / name
        with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
            found = tar.getmembers()
            assert all(one.isreg() and not one.name.startswith(("/", "..")) and one.uid == 0 for one in found)
            return {one.name: tar.extractfile(one).read() for one in found}  # type: ignore[union-attr]

    def add(self, house: House, code: int, **more: Any) -> None:
        raw = house.input("raw.txt", rename="other.txt")
        house.add(house.python(JUNK.replace("CODE", str(code))), inputs=[raw], outputs=[house.output("a.txt")], **more)

    def test_a_failed_job_keeps_what_nobody_declared(self, house: House) -> None:
        self.add(house, 1)
        assert house.run() == 1
        assert self.members(house) == {"core": b"c" * 500, "deep/x y.tmp": b"x"}
        (line,) = [one for one in house.lines() if one["kind"] == "outputs" and "job" in one]
        assert (line["job"], line["files"][0]["filetype"], line["files"][0]["compression"]) == (12, "junk", ".gz")
        assert house.run() == 1
        assert set(self.members(house, "Ht0_r11p01_j000007_t02_junk.tar.gz")) == {"core", "deep/x y.tmp"}

    @pytest.mark.parametrize(
        ("when", "code", "kept"), [("never", 1, False), ("always", 0, True), ("failure", 0, False)]
    )
    def test_when(self, house: House, when: str, code: int, kept: bool) -> None:
        house.junk = [when, 1 << 20]
        self.add(house, code)
        assert house.run() == code
        assert (house.archive / "log/step/Ht0_r11p01_j000007_junk.tar.gz").exists() == kept

    def test_what_is_too_large_is_told(self, house: House) -> None:
        house.junk = ["failure", 100]
        self.add(house, 1)
        assert house.run() == 1
        assert self.members(house) == {"deep/x y.tmp": b"x", junk.LEFT_OUT: b"core\n"}

    def test_quanta_with_folders_of_their_own(self, house: House) -> None:
        house.junk = ["always", 1 << 20]
        allowance = {"threads": 2}
        for name in ("a", "b"):
            code = f"open('out/{name}.txt', 'w').write('x'); open('tmp', 'w').write('t')"
            house.add(house.python(code), outputs=[house.output(f"{name}.txt")], allowance=allowance)
        assert house.run() == 0
        assert set(self.members(house)) == {"w00001/tmp", "w00002/tmp"}

    def test_nothing_is_made_of_nothing(self, house: House) -> None:
        house.junk = ["always", 1 << 20]
        house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
        assert house.run() == 0
        assert not list((house.archive / "log/step").glob("*junk*"))

    def test_trouble_with_it_is_no_failure(
        self, house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken(*_: object) -> int:
            raise OSError("the disk is full")

        monkeypatch.setattr(junk, "pack", broken)
        house.junk = ["always", 1 << 20]
        self.add(house, 0)
        assert house.run() == 0
        assert "junk was not kept: OSError: the disk is full" in capsys.readouterr().err
        assert not list(Path(house.root / "work").rglob("*junk*"))
