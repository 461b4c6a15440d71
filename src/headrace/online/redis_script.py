"""The script by which Redis itself compares stamps: nothing can come between looking and writing."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

# One MGET and one MSET instead of two commands a key. Lua's own comparison of texts follows the server's language
# and its numbers have 53 bits: a stamp is compared as three numbers of 32 bits. KEYS stays far below the about
# 8,000 values that `unpack` can take.
_NEWER: Final = """
local function newer(a, b)
  local a1, a2, a3 = struct.unpack('>I4I4I4', a)
  local b1, b2, b3 = struct.unpack('>I4I4I4', b)
  return a1 > b1 or (a1 == b1 and (a2 > b2 or (a2 == b2 and a3 > b3)))
end

local refused = 0
local there = redis.call('MGET', unpack(KEYS))
local lasting = {}
"""

PUT_NEWER: Final = (
    _NEWER
    + """
for i, value in ipairs(ARGV) do
  if there[i] and newer(there[i], value) then
    refused = refused + 1
  else
    local high, low = struct.unpack('>I4I4', value, 13)
    if high == 0 and low == 0 then
      lasting[#lasting + 1] = KEYS[i]
      lasting[#lasting + 1] = value
    else
      local milliseconds = math.ceil((high * 4294967296 + low) / 1000)
      redis.call('SET', KEYS[i], value, 'PXAT', string.format('%.0f', milliseconds))
    end
  end
end
if #lasting > 0 then redis.call('MSET', unpack(lasting)) end
return refused
"""
)

PUT_LASTING: Final = (
    _NEWER
    + """
for i, value in ipairs(ARGV) do
  if there[i] and newer(there[i], value) then
    refused = refused + 1
  else
    lasting[#lasting + 1] = KEYS[i]
    lasting[#lasting + 1] = value
  end
end
if #lasting > 0 then redis.call('MSET', unpack(lasting)) end
return refused
"""
)
"""The same for values that stay until they are deleted, though readers take them for expired before."""


@cache
def digest(script: str) -> str:
    """The name by which a server that has loaded a script knows it."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
