"""JSON Schemas (draft 2020-12) of the documents that imgconv reads.

Written for this project from the specifications named in their `$comment`.
`convert.jsonio.schema` loads them; they are data that any validator can use.
`title` is what stands after "expected" in a message. Where real archives
deviate from a specification without harm, the schema accepts them and notes it.
"""
