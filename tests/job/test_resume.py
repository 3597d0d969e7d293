"""Running a job again: only what is missing, from what is known to be good."""

from __future__ import annotations

from job.house import House, chain


def test_an_archive_that_is_away_may_come_back(house: House) -> None:
    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
    house.archive.rename(house.root / "away")
    assert house.run() == 75
    assert house.ended()[41]["failure"]["class"] == "transfer"
    (house.root / "away").rename(house.archive)
    assert house.run() == 0
    assert (house.archive / "log/step/Ht0_r11p01_step_w00001_t2.log").exists()


def test_resume_runs_only_what_is_missing(house: House) -> None:
    trial = house.root / "trial"
    chain(house, f"import os,sys; os.path.exists({str(trial)!r}) or sys.exit(3); "
                 "open('out/b.txt', 'w').write(open('out/a.txt').read())")  # fmt: skip
    assert house.run() == 1
    assert len(house.workdirs()) == 1
    trial.touch()
    assert house.run() == 0
    assert set(house.ended(2)) == {42}
    assert (house.archive / "red/b.txt").read_text() == "ABC\n"
    assert house.log(2, "_t2")
    assert house.workdirs() == []  # what the failed run left is of no use any more
    assert house.run() == 0
    assert house.kinds(3) == ["job-started", "job-ended"]


def test_a_retry_replaces_what_a_run_that_never_succeeded_left_in_the_archive(house: House) -> None:
    house.add(
        house.python("import os; open('out/a.txt', 'w').write(os.urandom(8).hex())"), outputs=[house.output("a.txt")]
    )
    assert house.run() == 0
    path = house.jobs / "j000007.receipt.01.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: house.kinds().index("stored")]))  # killed between recording and reporting
    first = (house.archive / "red/a.txt").read_text()
    assert house.run() == 0
    assert (house.archive / "red/a.txt").read_text() != first
    assert house.ended(2)[41]["state"] == "succeeded"
    path.unlink()
    (house.jobs / "j000007.receipt.02.jsonl").unlink()
    assert house.run() == 1  # nothing tells that the file is ours


def test_resume_verifies_what_it_takes_from_the_archive(house: House) -> None:
    chain(house, "raise SystemExit(1)")
    house.run()
    (house.archive / "red/a.txt").write_text("XYZ\n")
    assert house.run() == 75
    assert house.ended(2)[42]["failure"]["class"] == "transfer"


def test_resume_finds_an_unsaved_intermediate_in_the_directory_of_the_failed_run(house: House) -> None:
    trial = house.root / "trial"
    house.add(house.copy("out/tmp.txt"), outputs=[house.output("tmp.txt", save=False)])
    house.add(
        house.python(f"import os; assert os.path.exists({str(trial)!r}) and open('out/tmp.txt').read()"),
        inputs=[house.made("tmp.txt")],
    )
    assert house.run() == 1
    trial.touch()
    assert house.run() == 0


def test_a_torn_receipt_does_not_hide_what_was_done(house: House) -> None:
    chain(house, "raise SystemExit(1)")
    house.run()
    path = house.jobs / "j000007.receipt.01.jsonl"
    text = path.read_bytes()
    path.write_bytes(text[: text.index(b'"quantum-state", "quantum": 42') + 20])
    house.run()
    assert set(house.ended(2)) == {42}
