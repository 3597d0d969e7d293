"""What a campaign says of archives: one on the cluster's disk, and when files are copied (desdm.md §1.7)."""

from __future__ import annotations

from facade.campaign.faults import Faults, Keys
from facade.campaign.words import NAME, choice
from facade.keeping import ALL, BLOCK, INPUTS, JOB, NEVER, OUTPUTS, RUN, TARGET, WRAPPER, Keeping
from facade.wcl.tree import Section

HOME_INPUT, HOME_OUTPUT = choice(*INPUTS), choice(*OUTPUTS)
TARGET_INPUT, TARGET_OUTPUT = choice(JOB, NEVER), choice(WRAPPER, JOB, NEVER)


def keeping(root: Section, keys: Keys, faults: Faults) -> Keeping:
    """Return which archive keeps what; what would leave files nowhere, or unread, is a fault."""
    target = keys.word(root, "target_archive", NAME, "")
    inputs = keys.word(root, "use_home_archive_input", HOME_INPUT, WRAPPER)
    outputs = keys.word(root, "use_home_archive_output", HOME_OUTPUT, JOB)
    reads = keys.word(root, "use_target_archive_input", TARGET_INPUT, NEVER) != NEVER
    stores = keys.word(root, "use_target_archive_output", TARGET_OUTPUT, NEVER) != NEVER
    for key, used in (("use_target_archive_input", reads), ("use_target_archive_output", stores)):
        if used and not target:
            remedy = "add target_archive = NAME, an archive of the site file"
            faults.at(root.value(key) or root, f"'{key}' asks for an archive that is not named", remedy, code="F236")
    if outputs in (BLOCK, RUN, NEVER) and not stores:
        message = f"with 'use_home_archive_output = {outputs}' outputs would be nowhere once their job has ended"
        remedy = "let jobs store them in an archive beside them: target_archive = NAME, use_target_archive_output = job"
        faults.at(root.value("use_home_archive_output") or root, message, remedy, code="F237")
    if inputs in (NEVER, TARGET) and not reads:
        message = f"with 'use_home_archive_input = {inputs}' jobs would have no inputs"
        remedy = "let them read from an archive beside them: target_archive = NAME, use_target_archive_input = job"
        faults.at(root.value("use_home_archive_input") or root, message, remedy, code="F238")
    if not target or not (reads or stores):
        return Keeping(inputs=inputs if inputs == ALL else WRAPPER)
    return Keeping(target, inputs, outputs, reads, stores)
