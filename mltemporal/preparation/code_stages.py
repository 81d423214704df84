"""Steps that are Python: the user's functions, and fitted transformers, over batches of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mltemporal.code.capturing import CapturedCode
from mltemporal.code.shipping import installing_modules
from mltemporal.code.versions import check_versions
from mltemporal.errors import InvalidDataset, InvalidRequest, InvalidTrainer
from mltemporal.preparation.naming import HIDDEN, ROW, TEST
from mltemporal.preparation.sources import fitting


def restored_code(code: CapturedCode) -> Any:
    """Return the function, or the unfitted transformer; its bytes were verified when they were loaded.

    Raises:
        VersionMismatch: Python or a package differs from the launching kernel's; nothing was unpickled.
        InvalidTrainer: the code does not load here.
    """
    import cloudpickle

    check_versions(code.versions)
    assert code.payload is not None
    try:
        with installing_modules():
            value = cloudpickle.loads(code.payload)
    except (ImportError, AttributeError) as error:
        raise InvalidTrainer(
            f"{code.label} needs what is not installed here: {error}", "install it where the job runs"
        ) from error
    return value[0] if code.kind == "function" else value


class FunctionStage:
    """Calls a function with a DataFrame of the rows of one part at a time.

    Args:
        schema: what it returns; None: as it comes, to find that out.
        same_rows: whether it must return as many rows as it gets, as for predictions.
    """

    def __init__(
        self, function: Callable[[Any], Any], label: str, *, schema: Any | None, same_rows: bool = False
    ) -> None:
        self._function, self._label, self._schema, self._same_rows = function, label, schema, same_rows
        self._rows = 0

    def __call__(self, table: Any) -> Any:
        """Return what the function makes of the table's rows.

        Raises:
            InvalidRequest: it returns no DataFrame, or other columns than before.
            InvalidDataset: a value it returns does not fit the type that its column had before.
            Exception: whatever the function raises.
        """
        import pyarrow as pa

        hidden = [name for name in table.column_names if name.startswith(HIDDEN)]
        if TEST not in hidden:
            made = [self._called(table.drop_columns(hidden), None)]
        else:
            made = [
                self._called(part.drop_columns(hidden), test)
                for test in (False, True)
                if (part := table.filter(_is(table.column(TEST), test))).num_rows
            ]
        result = pa.concat_tables(made, promote_options="permissive")
        if ROW in hidden:  # the rows are new ones
            result = result.append_column(
                ROW, pa.array(range(self._rows, self._rows + len(result)), pa.int64())
            )
        self._rows += len(result)
        return result

    def _called(self, table: Any, test: bool | None) -> Any:
        import pandas as pd
        import pyarrow as pa

        given = table.to_pandas()
        index = given.index
        frame = self._function(given)
        if not isinstance(frame, pd.DataFrame):
            raise InvalidRequest(
                f"step {self._label}() returned {type(frame).__name__} instead of a DataFrame",
                "return the DataFrame",
            )
        if self._same_rows and len(frame) != table.num_rows:
            raise InvalidRequest(
                f"step {self._label}() made {len(frame):,} rows of {table.num_rows:,} to predict",
                "let it keep the rows, and drop them by filter or drop_missing",
            )
        if self._same_rows and not frame.index.equals(index) and set(frame.index) == set(index):
            raise InvalidRequest(
                f"step {self._label}() changed the order of the rows to predict",
                "let it keep the order: predictions are written beside the rows as they came",
            )
        try:
            made = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InvalidDataset(
                f"step {self._label}() returned a column of mixed types: {error}", "give each column one type"
            ) from error
        if self._schema is not None:
            made = self._fitted(made, self._schema)
        return made if test is None else made.append_column(TEST, pa.repeat(pa.scalar(test), len(made)))

    def _fitted(self, made: Any, schema: Any) -> Any:
        if set(made.column_names) != set(schema.names):
            differing = sorted(set(made.column_names) ^ set(schema.names))
            raise InvalidRequest(
                f"step {self._label}() returns other columns for some rows than for others: they differ in "
                f"{', '.join(map(repr, differing[:10]))}",
                "return the same columns for all rows",
            )
        return fitting(made, schema, f"what step {self._label}() returned")


class TransformerStage:
    """Applies a fitted scikit-learn transformer; its output stands after the columns that it leaves alone.

    Args:
        schema: of the output; None: as it comes, to find that out.
    """

    def __init__(self, transformer: Any, columns: list[str], label: str, *, schema: Any | None) -> None:
        self._transformer, self._columns, self._label, self._schema = transformer, columns, label, schema

    def __call__(self, table: Any) -> Any:
        """Return the table with the transformer's output in the columns' place.

        Raises:
            Exception: whatever the transformer raises.
        """
        output = self.output(table)
        others = [name for name in table.column_names if name not in self._columns]
        result = table.select(others)
        for field, column in zip(output.schema, output.columns, strict=True):
            result = result.append_column(field, column)
        return result

    def output(self, table: Any) -> Any:
        """Return what the transformer makes of its columns."""
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        made = self._transformer.transform(table.select(self._columns).to_pandas())
        if not isinstance(made, pd.DataFrame):
            made = made.toarray() if hasattr(made, "toarray") else np.asarray(made)
            made = made.reshape(len(made), -1)
            made = pd.DataFrame(made, columns=self._names(made.shape[1]))
        made.columns = [str(name) for name in made.columns]
        output = pa.Table.from_pandas(made, preserve_index=False).replace_schema_metadata(None)
        if self._schema is not None:
            output = fitting(output, self._schema, f"what {self._label} returned")
        return output

    def _names(self, width: int) -> list[str]:
        if hasattr(self._transformer, "get_feature_names_out"):
            return [str(name) for name in self._transformer.get_feature_names_out()]
        return [f"{type(self._transformer).__name__.lower()}_{place}" for place in range(width)]


def _is(test: Any, wanted: bool) -> Any:
    import pyarrow.compute as pc

    return test if wanted else pc.invert(test)
