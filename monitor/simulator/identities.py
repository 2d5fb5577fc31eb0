"""Invented identities: ids, tokens, names and addresses, the same again for the same seed."""

import random
import unicodedata
import uuid
from urllib.parse import quote

FIRST = (
    *("Ada", "Amir", "Anna", "Bruno", "Carla", "Chen", "Dana", "Elif", "Emil", "Farah", "Grace"),
    *("Hugo", "Ines", "Ivan", "Jane", "João", "Kofi", "Lena", "Mona", "Nils", "Olga", "Priya"),
)
LAST = (
    *("Almeida", "Berg", "Costa", "Doe", "Eriksen", "Fischer", "García", "Haddad", "Ito", "Jansen"),
    *("Kowalski", "Lee", "Moreau", "Novak", "Okafor", "Park", "Rossi", "Sato", "Tanaka", "Weber"),
)


class Identities:
    """A source of invented identities; the *seed* decides all of them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def uuid(self) -> str:
        """Invent the id of an account or of a session."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def identification_token(self) -> str:
        """Invent an account's own credential."""
        return f"id_{self._random.getrandbits(128):032x}"

    def name(self) -> str:
        """Invent a person."""
        return f"{self._random.choice(FIRST)} {self._random.choice(LAST)}"

    def profile_url(self, name: str) -> str:
        """Invent the public profile address of *name*, unlike that of any namesake."""
        plain = unicodedata.normalize("NFC", name).casefold()
        words = "".join(mark if mark.isalnum() else " " for mark in plain[:80]).split()
        suffix = f"{self._random.getrandbits(32):08x}"
        return f"https://www.linkedin.com/in/{quote('-'.join([*words, suffix]))}/"

    def avatar_url(self) -> str:
        """Invent the address of a picture, signed and expiring as LinkedIn's are."""
        image, signature = (self._random.getrandbits(64) for _ in range(2))
        return (
            f"https://media.licdn.com/dms/image/v2/{image:016x}/profile-displayphoto-shrink_200_200"
            f"/0/1700000000000?e=1800000000&v=beta&t={signature:016x}"
        )
