"""Files of earlier attempts in a job, and the fingerprint that a job makes of what its inputs were."""

from __future__ import annotations

from job.house import House, chain, sha256

from facade.digest import combined, reading

OWN = "0123456789abcdef0123456789abcdef"


def test_a_file_of_an_earlier_attempt_lies_where_the_plan_expects_it(house: House) -> None:
    old = house.input("calexp-r11p01.txt", "abc\n", staged="calexp-r11p02.txt", rename="second.txt")
    step = house.copy("out/b-r11p02.txt", "in/calexp-r11p02.txt", "in/second.txt")
    step["used"], step["derived"] = ["calexp-r11p01.txt"], [["b-r11p02.txt", "calexp-r11p01.txt"]]
    house.add(step, inputs=[old], outputs=[house.output("b-r11p02.txt")])
    assert house.run() == 0
    assert (house.archive / "red/b-r11p02.txt").read_text() == "ABC\nABC\n"
    [ran] = [line for line in house.lines() if line["kind"] == "exec"]
    [outputs] = [line for line in house.lines() if line["kind"] == "outputs"]
    assert ran["used"] == [["calexp-r11p01.txt", ""]]
    assert outputs["derived"] == [[["b-r11p02.txt", ""], ["calexp-r11p01.txt", ""]]]


def test_a_job_says_what_its_inputs_were(house: House) -> None:
    chain(house)
    house.quanta[0]["fingerprint"] = house.quanta[1]["fingerprint"] = OWN
    assert house.run() == 0
    ended = house.ended()
    assert ended[41]["fp_run"] == combined(OWN, [reading("file.raw", sha256("abc\n"), "")])
    assert ended[42]["fp_run"] == combined(OWN, [reading("file.mid", sha256("ABC\n"), "")])


def test_a_resumed_job_says_the_same_of_what_an_earlier_run_made(house: House) -> None:
    trial = house.root / "trial"
    chain(house, f"import os, shutil; os.path.exists({str(trial)!r}) or exit(3); shutil.copy('out/a.txt', 'out/b.txt')")
    house.quanta[1]["fingerprint"] = OWN
    assert house.run() == 1
    assert "fp_run" not in house.ended()[42]
    trial.touch()
    assert house.run() == 0
    assert house.ended(2)[42]["fp_run"] == combined(OWN, [reading("file.mid", sha256("ABC\n"), "")])


def test_without_a_fingerprint_of_its_own_there_is_none(house: House) -> None:
    chain(house)
    assert house.run() == 0
    assert [line["fp_run"] for line in house.ended().values()] == [None, None]
