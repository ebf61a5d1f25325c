"""What is made of many short, interleaved measurements: robust figures and ratios."""
import statistics


def quantile(values, part):
    """The value below which this part of them lies; between two neighbours, in proportion."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


class Slices:
    """The slices of one server under one load; each is [requests, server ns, load ns, wall ns]."""

    def __init__(self):
        self.rounds = []

    def add(self, slices):
        useful = [s for s in slices if s[0] > 0 and s[1] > 0 and s[2] > 0]
        if useful:
            self.rounds.append(useful)

    def each_round(self, figure, part):
        return [quantile([figure(s) for s in slices], part) for slices in self.rounds]

    def cost(self):
        """Server CPU nanoseconds a request, as on a quiet machine.

        What disturbs a slice makes the load generator dearer, too: so it is the share, times what a request costs the
        load generator with this server in its quiet slices.
        """
        quiet = quantile([s[2] / s[0] for slices in self.rounds for s in slices], 0.25)
        return self.share() * quiet

    def share(self):
        """Server CPU over the load generator's in the same slices: of each round the median, of those the median."""
        return statistics.median(self.each_round(lambda s: s[1] / s[2], 0.5))

    def rate(self):
        """Requests a second of wall time: of each round the upper quartile, of those the median."""
        return statistics.median(self.each_round(lambda s: s[0] / s[3] * 1e9, 0.75))


def relative(values, names):
    """Each value over the smallest one among those of `names`; all None where none of those is there."""
    among = [values[name] for name in names if name in values]
    if not among:
        return {name: None for name in values}
    best = min(among)
    return {name: value / best for name, value in values.items()}
