"""How the programs of this folder are driven: a JSON object per line in, one per line out.

A command names a function and its arguments, `{"do": "meet", "within": 30}`; the answer is what the function returns,
or `{"failed": "ValueError: …"}`. Fed-BioMed logs to standard output, so answers get a copy of it before it is pointed
at standard error.
"""

import json
import os
import sys

_answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def tell(answer):
    """One line to whoever drives this program."""
    _answers.write(json.dumps(answer) + "\n")


def serve(ready, **functions):
    """Says `ready`, then obeys until standard input ends. Fed-BioMed's threads cannot be stopped, so ends at once."""
    tell({"ready": ready})
    for line in sys.stdin:
        command = json.loads(line)
        function = functions[command.pop("do")]
        try:
            tell(function(**command))
        except Exception as error:  # the driver judges, this program goes on
            tell({"failed": f"{type(error).__name__}: {error}"})
    os._exit(0)
