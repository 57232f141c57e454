"""The real worker, as processes on a broker, against the oracle: answers depend on event times alone.

Not on the order of arrival, on channels that lag or workers that were down, on how many partitions and workers there
are, or on who was sooner. Scenarios share lines, which take seconds to start: each is of people of its own.

    scenarios       what happens in the shop, and when it arrives; knows no broker
    small_worlds    random small worlds as such a scenario
    stream          scenarios as one stream of records, ticks and pauses
    lines           an installation that plays a stream: embedded, or on a real Kafka
    shop            every scenario at once, and what has landed of it
    finals          what stands in the end, row by row, to compare two runs of one input
    promises        which ids of actions two runs must have in common
    test_scenarios  every scenario at once on one line of each kind (4 partitions, 1 worker)
    test_embedded   the same by other shapes, once more, and in order
    test_real       the same by two workers, and in live time a worker that was down

`tests.simulation` does the same to the core alone, thousands of times; here broker, worker, sink and views take part.
"""
