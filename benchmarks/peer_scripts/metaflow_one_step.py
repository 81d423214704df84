"""A Metaflow flow of one step."""

from metaflow import FlowSpec, step


class OneStep(FlowSpec):
    @step(start=True, end=True)
    def train(self):
        self.result = 1.0


if __name__ == "__main__":
    OneStep()
