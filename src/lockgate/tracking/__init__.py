"""MLflow on the desk: one tracking store, and one process that serves it to every step and every MLflow client.

journal   what the desk says of its runs, kept in files until the server takes it in
server    the process: sleeps without MLflow until somebody connects, then serves MLflow's own REST API over MLflow's own store
service   finds the server, starts it, ends it
versions  the model versions that a run registered
"""
