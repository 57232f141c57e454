"""Who is credited with an order, held against slower ways to work it out and against outside answers."""
