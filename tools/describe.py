"""Ask a large multimodal model to describe the images of a config's data sets.

    python tools/describe.py CONFIG --describer openai --model NAME
    python tools/describe.py CONFIG --describer hf --model FOLDER
    python tools/describe.py CONFIG --describer minigpt4 --options llm=FOLDER checkpoint=FILE …

Replies are kept as they come; the same command resumes. --preview 5 shows what to expect.
"""

import sys

from mmpretrain_lmmreg.descriptions.command import parser, run
from mmpretrain_lmmreg.errors import InputError


def main() -> int:
    try:
        run(parser(__doc__).parse_args())
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('stopped; the same command goes on from here', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
