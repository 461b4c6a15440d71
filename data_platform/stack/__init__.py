"""The servers of the reference platform without Docker: Kafka and Redis from packages, for one machine.

``python -m data_platform.stack up`` starts them. `KafkaServer` and `RedisServer` also run private servers in folders
and on ports of their own, for tests and benchmarks.
"""
