"""Characters that a reader would not see as they are: controls, what changes direction, what has no width."""

import re
from typing import Final

HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls: escape sequences begin with one of these
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # change direction, or cannot be seen
    "\U000e0000-\U000e007f"  # tags: whole hidden sentences
    "\ud800-\udfff]"  # halves of characters: no terminal can show them
)
"""Line feeds and tabs are none of them."""

PICTURES: Final = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}
"""C0 controls and DEL: the character that depicts each."""
