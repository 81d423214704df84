"""A Metaflow flow of four steps, as a training of ours has four activities."""

from metaflow import FlowSpec, step


class FourSteps(FlowSpec):
    @step
    def start(self):
        self.next(self.launch)

    @step
    def launch(self):
        self.next(self.train)

    @step
    def train(self):
        self.result = 1.0
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    FourSteps()
