"""The service behind the web pages: a catalogue of experiments, a queue of jobs, workers that carry them out.

It knows neither Flask nor the database: the store comes as the protocols of ``ports.service``.
"""
