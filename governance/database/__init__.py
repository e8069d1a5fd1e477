"""Tenant isolation: the backend, the scope, the fields and the DDL that is derived from the models."""
