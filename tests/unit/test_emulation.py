"""What is known of emulators without registering one."""

from pathlib import Path

import pytest

from kiln import emulation
from kiln.errors import EngineError, SelectionError

# As Debian's qemu-user-binfmt has it.
LINE = r":qemu-riscv64:M::\x7fELF\x02\x01\x01\x00:\xff\xff\xff\xff:/usr/libexec/qemu-binfmt/riscv64-binfmt-P:OP"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OCF\n", True), ("enabled\nflags: OC\n", False),
     ("disabled\nflags: F\n", False), (None, False)],
)  # fmt: skip
def test_an_emulator_must_be_enabled_and_work_in_any_root(tmp_path, text, expected):
    """The kernel's flag F keeps the emulator open, so that a new system need not hold it."""
    if text is not None:
        (tmp_path / "qemu-aarch64").write_text(text)

    assert expected == emulation.emulated("arm64", tmp_path)


def test_what_is_registered_is_debians_line_for_an_interpreter_of_ours():
    """Magic numbers stay as they are; the kernel opens the interpreter at once (F)."""
    told = emulation.registration(f"{LINE}\n", Path("/home/emulators/riscv64-binfmt-P"))
    assert told == LINE.replace("/usr/libexec/qemu-binfmt/", "/home/emulators/") + "F"
    assert emulation.registration(f"{LINE}F", Path("/x")).endswith(":/x:OPF")


@pytest.mark.parametrize("path", [Path("/home", "x" * 127), Path("/with:colon")])
def test_a_path_that_the_kernel_does_not_take_is_an_error(path):
    """It would cut the path off, or take its end for flags."""
    with pytest.raises(EngineError, match="the kernel takes emulators of at most 127 characters without a colon"):
        emulation.registration(LINE, path)


def test_a_machine_runs_its_own_platforms(monkeypatch):
    """A 64-bit PC runs 32-bit programs, too."""
    monkeypatch.setattr(emulation.machine, "machine", lambda: "x86_64")
    monkeypatch.setattr(emulation, "emulated", lambda _: False)
    assert [name for name in emulation.ARCHITECTURES.values() if emulation.runs(name)] == ["i386", "amd64"]
    assert emulation.bring(["linux/amd64", "linux/386", "windows/amd64"]) == []


def test_who_may_not_register_is_told_what_to_do(monkeypatch):
    """A user, and root in a container, learn who can."""
    monkeypatch.setattr(emulation.machine, "machine", lambda: "x86_64")
    monkeypatch.setattr(emulation, "emulated", lambda _: False)
    monkeypatch.setattr(emulation.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(emulation, "_may_register", lambda: False)
    with pytest.raises(EngineError, match="arm64 programs cannot run here, and only root on the host may register an"):
        emulation.bring(["linux/arm64"])


def test_a_platform_that_debian_has_not_is_an_error():
    """A typo is answered with what there is."""
    emulation.check(["linux/arm64"])
    with pytest.raises(SelectionError, match=r"--platform linux/arm: no such platform; use one of linux/386,"):
        emulation.check(["linux/arm"])
