"""What other protocols say of a failure, as the arguments of ``services.report``: translation and nothing else.

One file for each protocol, plain functions of plain values, no Django. Where a protocol's texts are longer than ours
they are cut, and stay whole in the context. What is not in a payload is left empty: the door fills it in.
"""
