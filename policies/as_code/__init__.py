"""Policies as files: reviewed, tested and compared like code. The format is `docs/policies-as-code.md`.

`reading` makes a file into `PolicyFile`s or problems with their lines, `writing` makes policies into a file,
`linting` finds what is wrong without a call, `testing` asks the calls written beside the policies,
and `services.filed` is where they meet what a tenant has: import, export, backtest, diff, coverage.
"""
