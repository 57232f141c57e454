"""The contracts of Throughline: Avro schemas, their ids, and the bytes on the wire.

`catalog` knows which schema has which id, `codec` turns records into bytes and back, `evolution` guards
compatibility; `fetch_protocol` and `committed` are Kafka's own bytes, as workers and sinks read whole record batches.
Everything else in the project agrees on bytes here and nowhere else; nothing here imports anything else of ours.
"""
