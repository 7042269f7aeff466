"""Ask a large multimodal model to describe the images of a config's data sets.

    python tools/describe.py CONFIG --describer openai --model NAME
    python tools/describe.py CONFIG --describer hf --model FOLDER
    python tools/describe.py CONFIG --describer minigpt4 --options llm=FOLDER checkpoint=FILE

Replies are kept as they come: after Ctrl-C the same command goes on. --preview 5 shows what to
expect and keeps nothing, unless --out names a file.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg.descriptions.command import parser, run  # noqa: E402
from mmpretrain_lmmreg.launch import run_tool  # noqa: E402

if __name__ == '__main__':
    run_tool(
        lambda: run(parser(__doc__).parse_args()),
        'Replies are kept as they came; the same command goes on.',
    )
