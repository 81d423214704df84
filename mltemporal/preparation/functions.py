"""The SQL functions that expressions may call: of the row's own values, the same today and tomorrow.

A list of what is allowed, not of what is forbidden: what DuckDB learns next is refused until somebody has
looked at it. Left out on purpose are functions of chance and of the clock (a step that runs again must
give the same rows), of the session, the environment and files, aggregates, windows, and what makes many
rows of one.
"""

from __future__ import annotations

_OPERATORS = "+ - * / // % ** ^ ^@ & | << >> ~ @ ! || && <-> <=> ~~ !~~ ~~* !~~* ~~~ !~~~ @> <@ -> ->>"
_NUMBERS = """
abs acos acosh add asin asinh atan atan2 atanh bit_count cbrt ceil ceiling cos cosh cot degrees divide even
exp factorial fdiv floor fmod gamma gcd greatest greatest_common_divisor isfinite isinf isnan lcm least
least_common_multiple lgamma ln log log10 log2 mod multiply nextafter pi pow power radians round round_even
sign signbit sin sinh sqrt subtract tan tanh trunc xor
"""
_TEXT = """
array_extract ascii bar base64 bin bit_length char_length character_length chr concat concat_ws contains
damerau_levenshtein decode editdist3 encode ends_with format format_bytes from_base64 from_hex hamming hex
ilike_escape instr jaccard jaro_similarity jaro_winkler_similarity lcase left left_grapheme len length
length_grapheme levenshtein like_escape lower lpad ltrim md5 md5_number mismatches nfc_normalize
not_ilike_escape not_like_escape octet_length ord overlay position prefix printf regexp_escape regexp_extract
regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array repeat replace
reverse right right_grapheme rpad rtrim sha1 sha256 split split_part starts_with str_split str_split_regex
string_split string_split_regex string_to_array strip_accents strlen strpos substr substring
substring_grapheme suffix to_base to_base64 to_hex translate trim ucase unhex unicode upper url_decode
url_encode
"""
_TIMES = """
age century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
dayofmonth dayofweek dayofyear decade days_in_month epoch epoch_ms epoch_ns epoch_us era hour isodow isoyear
julian last_day make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns microsecond
millennium millisecond minute month monthname nanosecond quarter second strftime strptime time_bucket
timezone timezone_hour timezone_minute to_centuries to_days to_decades to_hours to_microseconds
to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years
try_strptime week weekday weekofyear year yearweek
"""
_NESTED = """
array_contains array_cosine_distance array_cosine_similarity array_distance array_has array_has_all
array_has_any array_indexof array_inner_product array_length array_position array_slice array_to_string
array_value cardinality element_at flatten json_array_length json_contains json_exists json_extract
json_extract_path json_extract_path_text json_extract_string json_keys json_type json_valid json_value
list_avg list_concat list_contains list_count list_distinct list_element list_extract list_first list_has
list_has_all list_has_any list_indexof list_last list_max list_median list_min list_position list_product
list_resize list_reverse list_reverse_sort list_slice list_sort list_sum list_unique list_value map
map_contains map_entries map_extract map_extract_value map_keys map_values row struct_extract
struct_extract_at struct_pack union_extract union_tag
"""
_CHOICE = "if ifnull nullif typeof enum_code"

ALLOWED = frozenset(" ".join((_OPERATORS, _NUMBERS, _TEXT, _TIMES, _NESTED, _CHOICE)).split())
"""Their names in lower case."""

CLOCK_AND_CHANCE = frozenset(
    (
        *("random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "now", "today", "ago"),
        *("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"),
        *("get_current_time", "get_current_timestamp", "current_localtime", "current_localtimestamp"),
        *("transaction_timestamp", "nextval", "currval"),
    )
)
"""Those that are refused because the next run would give other rows."""

ROWS_TOGETHER = frozenset(
    (
        *(
            "avg",
            "mean",
            "sum",
            "count",
            "min",
            "max",
            "median",
            "mode",
            "quantile",
            "quantile_cont",
            "stddev",
        ),
        *(
            "quantile_disc",
            "var_pop",
            "var_samp",
            "variance",
            "stddev_pop",
            "stddev_samp",
            "any_value",
            "first",
        ),
        *("last", "arg_max", "arg_min", "string_agg", "list", "array_agg", "histogram", "corr", "skewness"),
    )
)
"""Those that are refused because they look at many rows; `fill_missing` and `scale` are for that."""
