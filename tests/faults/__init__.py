"""What happens to workers, brokers and connections, on a real Kafka; and that nothing is missing, doubled or wrong.

    test_kills        SIGKILL at every named step, and at random (22 + 12 kills; 132 + 72 in the long suite)
    test_zombies      SIGSTOP past the session, then SIGCONT
    test_membership   workers come and go, stop in the middle, die in a rebalance
    test_refusals     refused batches, exceptions, timed-out transactions, trimmed inputs, a changelog being compacted
    test_broker       the broker killed, standing still, behind connections that swallow everything
    test_state_directory   what a worker finds on its disk: deleted, cut short, an old copy

`town` feeds a simulated day, `fleet` keeps workers as a supervisor would, `judge` reads the outputs `read_committed`
and asks the oracle.
"""
