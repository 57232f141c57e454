"""What a report of the shop holds, and how it is asked of the warehouse. Must not know how a report is shown."""
