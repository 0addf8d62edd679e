"""`mmdiag up` and `down`: server, worker, deployments, automations and dashboard on one machine.
Start with supervisor.py. Only register.py, automations.py and ordering.py import Prefect.
"""
