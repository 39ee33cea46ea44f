"""Would use Spark."""
