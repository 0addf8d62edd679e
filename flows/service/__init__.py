"""`mmdiag up` and `down`: server, worker, deployments, automations and dashboard on one machine.
Start with supervisor.py. Only register.py and automations.py import Prefect.
"""
