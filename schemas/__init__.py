"""The contracts of Throughline: Avro schemas, their ids, and the bytes on the wire.

`catalog` knows which schema has which id, `codec` turns records into bytes and back, `evolution` guards
compatibility. Everything else in the project agrees on bytes here and nowhere else; nothing here imports
anything else of ours.
"""
