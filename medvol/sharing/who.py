# SPDX-License-Identifier: Apache-2.0
"""Whose machine this is: names of accounts and people that have no place in what is given away."""

import getpass
import re
import shutil
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# accounts and machines that say nothing about a person, and words that texts are full of
ORDINARY = frozenset((
    "root", "user", "users", "username", "name", "admin", "administrator", "ubuntu", "debian",
    "runner", "docker", "jovyan", "vscode", "vagrant", "localhost", "localdomain", "local", "home",
    "host", "node", "server", "desktop", "laptop", "computer", "workstation", "guest", "public",
    "default", "test", "tester", "data", "media", "model", "models", "project", "work", "workspace",
    "worker", "python", "conda", "monai", "medvol", "torch", "image", "images", "build", "builder",
    "main", "shared", "service", "research", "nobody", "someone", "you", "your", "me",
))  # fmt: skip
LEAST_NAME = 4  # letters of an account that is looked for by itself


@dataclass(frozen=True)
class Who:
    """Whose machine this is: names that have no place in what is given away.

    Args:
        accounts: of the system, such as "amueller"; names of home folders and of the machine.
        people: names and e-mail addresses, such as "Anna Mueller".
    """

    accounts: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()

    @classmethod
    def here(cls) -> "Who":
        """Of the account that runs this, of its machine, and of what git knows of it."""
        accounts, people = {Path.home().name, socket.gethostname().partition(".")[0]}, set()
        with suppress(OSError, KeyError, ImportError):
            accounts.add(getpass.getuser())
        with suppress(OSError, KeyError, ImportError):
            import pwd  # not on Windows

            people.add(pwd.getpwnam(getpass.getuser()).pw_gecos.partition(",")[0])
        if git := shutil.which("git"):
            for key in ("user.name", "user.email"):
                with suppress(OSError, subprocess.SubprocessError):
                    said = subprocess.run(
                        [git, "config", "--get", key], capture_output=True, text=True, timeout=5
                    )
                    people.add(said.stdout.strip())
        return cls(frozenset(accounts), frozenset(people))

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """What finds them as whole words, in either case; None where there is nothing to find."""
        words = {re.escape(name) for name in self.accounts if _is_telling(name)}
        for person in self.people:
            parts = [re.escape(part) for part in person.split()]
            if "@" in person:
                words.add(re.escape(person))
            elif len(parts) > 1:
                words |= {r"[\s._+-]{0,3}".join(parts), r"[\s,._+-]{1,3}".join(parts[::-1])}
            elif parts and _is_telling(person):
                words |= set(parts)
        if not words:
            return None
        ordered = sorted(words, key=lambda word: (-len(word), word))
        return re.compile(rf"(?i)(?<![^\W_])(?:{'|'.join(ordered)})(?![^\W_])")

    @cached_property
    def words(self) -> frozenset[str]:
        """The first word of each, by which bytes that are no text are searched."""
        people = {person.split()[0] for person in self.people if person.strip()}
        backwards = {person.split()[-1] for person in self.people if person.strip()}
        return frozenset({*filter(_is_telling, self.accounts), *people, *backwards})


def _is_telling(name: str) -> bool:
    return len(name) >= LEAST_NAME and name.lower() not in ORDINARY and not name.isdecimal()
