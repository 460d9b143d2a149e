"""What is stored of the replaced layers, kept on disk until it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from infimum.compress.measure.scratch import Shelf
from infimum.compress.menu.forms import StoredForm
from infimum.compress.model.tensor_files import Stored


class FormShelf(Mapping[str, StoredForm]):
    """The forms of replaced layers by their names, kept on disk."""

    def __init__(self) -> None:
        self._shelf = Shelf()
        self._kinds: dict[str, type[StoredForm]] = {}

    def __setitem__(self, name: str, form: StoredForm) -> None:
        self._shelf.put(name, form.tensors())
        self._kinds[name] = type(form)

    def adopt(self, name: str, other: FormShelf) -> None:
        """Keep what another shelf keeps of a layer, without reading it."""
        self._shelf.adopt(name, other._shelf)
        self._kinds[name] = other._kinds[name]

    def __getitem__(self, name: str) -> StoredForm:
        return self._kinds[name].read(self._shelf.get(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def stored(self, name: str) -> list[Stored]:
        """Describe the tensors of a layer without reading them."""
        return self._shelf.stored(name)
