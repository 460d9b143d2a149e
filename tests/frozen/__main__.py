"""Write what is frozen as it is now."""

import json

from tests.frozen.schema import schema
from tests.frozen.surface import commands, public_names
from tests.frozen.test_frozen import SCHEMA, SURFACE

SURFACE.write_text(json.dumps({"names": public_names(), "commands": commands()}, indent=1) + "\n", encoding="utf-8")
SCHEMA.write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")
