"""Styles of replies, each with the right answer: what it says, the descriptions, the status.

Numbers, bullets, emphasis, titles and remarks are of every chat model. 'Description 1:', ``###``
and other turns are of MiniGPT-4 and LLaVA; ``<think>`` and ``<answer>`` of DeepSeek-R1, Qwen and
GLM; other thoughts of the models named. JSON, tables and keycaps are of GPT-4o and Gemini, XML of
Claude, rings and full-width marks of Qwen and InternVL.
"""

import json

TEN = [f'Sentence about thing {chr(96 + i)}.' for i in range(1, 11)]
ROMAN = ['I', 'II', 'III', 'IV', 'V', 'VI', 'VII', 'VIII', 'IX', 'X']
EMOJI = ['🐕', '⚽', '🌳', '☀️', '🏠', '🚗', '👩', '🎿', '❄️', '🏔️']
KEYCAPS = [f'{i}\ufe0f\u20e3' for i in range(1, 10)]


def listed(items, form='{}. ', joint='\n', marks=None):
    marks = marks or range(1, len(items) + 1)
    return joint.join(form.format(m) + item for m, item in zip(marks, items, strict=True))


LIST = listed(TEN)
FIVE = listed(TEN[:5]), listed(TEN[5:])
HIDDEN = 'First a plan.\n1. Look at it.\n2. Write ten lines.'

GIVE_TEN = {
    # numbers
    'numbers': LIST,
    'numbers, one line': listed(TEN, joint=' '),
    'numbers, blank lines': listed(TEN, joint='\n\n'),
    'numbers, CRLF': listed(TEN, joint='\r\n'),
    'brackets': listed(TEN, '{}) '),
    'brackets, one line': listed(TEN, '{}) ', ' '),
    'both brackets': listed(TEN, '({}) '),
    'square brackets': listed(TEN, '[{}] '),
    'no space': listed(TEN, '{}.'),
    'colon': listed(TEN, '{}: '),
    'bold number': listed(TEN, '**{}.** '),
    'bold bracket': listed(TEN, '**{})** '),
    'heading number': listed(TEN, '### {}. '),
    'number in a bullet': listed(TEN, '- {}. '),
    'quoted number': listed(TEN, '> {}. '),
    'number on a line': listed(TEN, '{}.\n'),
    'bare number on a line': listed(TEN, '## {}\n'),
    'escaped number': listed(TEN, '{}\\. '),
    'number and bullet': listed(TEN, '{}. - '),
    'number and check': listed(TEN, '{}. ✅ '),
    'hyphen': listed(TEN, '{} - '),
    'en dash': listed(TEN, '{} – '),
    'em dash': listed(TEN, '{} — '),
    'dot and hyphen': listed(TEN, '{}.- '),
    'dot and bracket': listed(TEN, '{}.) '),
    'bar': listed(TEN, '{} | '),
    'arrow': listed(TEN, '{} > '),
    'hash and colon': listed(TEN, '#{}: '),
    'hash': listed(TEN, '#{} '),
    'keycaps': listed(TEN, '{} ', marks=[*KEYCAPS, '🔟']),
    'keycaps of two digits': listed(TEN, '{} ', marks=[*KEYCAPS, KEYCAPS[0] + '0\ufe0f\u20e3']),
    'rings': listed(TEN, '{} ', marks='①②③④⑤⑥⑦⑧⑨⑩'),
    'full-width': listed(
        TEN, '{}．', marks=['１', '２', '３', '４', '５', '６', '７', '８', '９', '１０']
    ),
    'ideographic comma': listed(TEN, '{}、'),
    'a number left out': listed(TEN, '{}. ', marks=[1, 2, 3, 4, 5, 7, 8, 9, 10, 11]),
    'five and five': FIVE[0] + '\n\n' + FIVE[1],
    'five and five with headings': '\n\n'.join(['**People**\n' + FIVE[0], '**Place**\n' + FIVE[1]]),
    # words, letters
    'Description 1:': listed(TEN, 'Description {}: '),
    'bold Description 1:': listed(TEN, '**Description {}:** '),
    'Description #1:': listed(TEN, 'Description #{}: '),
    'Description 1 as heading': listed(TEN, '### Description {}\n', '\n\n'),
    'bold Description 1, a line': listed(TEN, '**Description {}**\n', '\n\n'),
    'Sentence 1.': listed(TEN, 'Sentence {}. '),
    'Caption 1 -': listed(TEN, 'Caption {} - '),
    'bullet Description 1:': listed(TEN, '- Description {}: '),
    'number and Description:': listed(TEN, '{}. Description: '),
    'number and bold Description:': listed(TEN, '{}. **Description:** '),
    'a)': listed(TEN, '{}) ', marks='abcdefghij'),
    '(a)': listed(TEN, '({}) ', marks='abcdefghij'),
    'a.': listed(TEN, '{}. ', marks='abcdefghij'),
    'A.': listed(TEN, '{}. ', marks='ABCDEFGHIJ'),
    'A)': listed(TEN, '{}) ', marks='ABCDEFGHIJ'),
    # bullets
    'hyphens': listed(TEN, '- '),
    'stars': listed(TEN, '* '),
    'dots': listed(TEN, '• '),
    'dots, one line': listed(TEN, '•', ' '),
    'dashes': listed(TEN, '– '),
    'check marks': listed(TEN, '✓ '),
    'green check marks': listed(TEN, '✅ '),
    'heavy check marks': listed(TEN, '✔️ '),
    'tasks': listed(TEN, '- [ ] '),
    'tasks done': listed(TEN, '- [x] '),
    'diamonds': listed(TEN, '🔹 '),
    'an emoji each': listed(TEN, '{} ', marks=EMOJI),
    'bullet and emoji': listed(TEN, '- {} ', marks=EMOJI),
    # lines
    'lines': listed(TEN, ''),
    'lines with a title': 'Here are ten descriptions:\n' + listed(TEN, ''),
    'lines with a greeting': 'Sure, here are ten descriptions.\n\n' + listed(TEN, ''),
    'lines with a bold title': '**Ten descriptions**\n' + listed(TEN, ''),
    'lines with a remark': listed(TEN, '') + '\n\nI hope this helps!',
    # emphasis
    'bold': listed([f'**{t}**' for t in TEN]),
    'italic': listed([f'*{t}*' for t in TEN]),
    'underlined': listed([f'__{t}__' for t in TEN]),
    'one word italic': listed([t.replace('thing', '*thing*') for t in TEN]),
    'first word italic': listed([t.replace('Sentence', '*Sentence*') for t in TEN]),
    'HTML bold': listed([f'<b>{t}</b>' for t in TEN]),
    'quotes': listed([f'"{t}"' for t in TEN]),
    'single quotes': listed([f"'{t}'" for t in TEN]),
    # before and after
    'preamble': 'Sure! Here are 10 semantic descriptions of the image:\n\n' + LIST,
    'preamble, one line': 'Sure! Here they are: ' + listed(TEN, joint=' '),
    'excuse': "I can't identify real people, but here are descriptions:\n" + LIST,
    'title': '### Ten descriptions\n' + LIST,
    'remark': LIST + '\n\nI hope these descriptions help!',
    'remark on the next line': LIST + '\nLet me know if you want more.',
    'remark on the same line': LIST + ' I hope this helps!',
    'remark, one line': listed(TEN, joint=' ') + ' Let me know if you need anything else!',
    'rule and remark': LIST + '\n---\n*These descriptions cover the main elements.*',
    'note': LIST + '\n**Note:** Colours may differ.',
    'remark after bullets': listed(TEN, '- ') + '\n\nWould you like me to go on?',
    'word count': LIST + '\n\n(Word count: 40)',
    'heading in between': '\n\n'.join(
        ['### People', FIVE[0], '### Place', listed(TEN)[len(FIVE[0]) + 1 :]]
    ),
    'bold heading in between': '\n'.join(
        ['**People**', FIVE[0], '**Place:**', LIST[len(FIVE[0]) + 1 :]]
    ),
    'plain heading in between': '\n'.join(['People:', FIVE[0], 'Place:', LIST[len(FIVE[0]) + 1 :]]),
    'heading between bullets': f'## A\n{listed(TEN[:5], "- ")}\n\n## B\n{listed(TEN[5:], "- ")}',
    'rule in between': f'{FIVE[0]}\n\n---\n\n{LIST[len(FIVE[0]) + 1 :]}',
    # speakers
    'own turn': '### Assistant: ' + LIST,
    'answer': 'Answer: ' + LIST,
    'final answer': f'Draft:\n1. A dog.\n2. A ball.\n\n**Final answer:**\n{LIST}',
    'other turn': LIST + '\n### Human: And now in French.',
    'end of turn': LIST + '###',
    'turns': LIST + '###Human: more\n###Assistant: 1. Something else.',
    'turn on the line': listed(TEN, joint=' ') + ' Human: Thank you!',
    'special tokens': LIST + '</s><|im_end|>',
    # thoughts
    'think': f'<think>{HIDDEN}</think>{LIST}',
    'thinking': f'<thinking>\n{HIDDEN}\n</thinking>\n\n{LIST}',
    'THINKING': f'<THINKING>{HIDDEN}</THINKING>{LIST}',
    'reasoning': f'<reasoning>{HIDDEN}</reasoning>\n{LIST}',
    'end of think only': f'{HIDDEN}\n</think>\n\n{LIST}',
    'end of thinking only': f'{HIDDEN}</thinking>{LIST}',
    'empty think': f'<think>\n\n</think>\n\n{LIST}',
    'Kimi': f'◁think▷{HIDDEN}◁/think▷{LIST}',
    'Magistral': f'[THINK]{HIDDEN}[/THINK]{LIST}',
    'harmony': f'<|channel|>analysis<|message|>{HIDDEN}<|end|><|start|>assistant'
    f'<|channel|>final<|message|>{LIST}',
    'begin of thought': f'<|begin_of_thought|>{HIDDEN}<|end_of_thought|>\n'
    f'<|begin_of_solution|>{LIST}<|end_of_solution|>',
    'answer tag': f'<answer>{LIST}</answer>',
    'answer tag, open': f'<answer>\n{LIST}',
    'think and answer': f'<think>{HIDDEN}</think>\n<answer>\n{LIST}\n</answer>',
    'draft and answer': f'{HIDDEN}\n<answer>\n{LIST}\n</answer>\nDone.',
    'answer with JSON': f'<think>Hm.</think><answer>{json.dumps(TEN)}</answer>',
    'box': f'<|begin_of_box|>{LIST}<|end_of_box|>',
    # JSON and its kin
    'JSON': json.dumps(TEN),
    'JSON, indented': json.dumps(TEN, indent=2),
    'Python': str(TEN),
    'JSON in a fence': f'Of course:\n```json\n{json.dumps(TEN)}\n```\nAnything else?',
    'JSON object': json.dumps({'descriptions': TEN}),
    'JSON by number': json.dumps({str(i): t for i, t in enumerate(TEN)}),
    'JSON records': json.dumps([{'id': i, 'description': t} for i, t in enumerate(TEN)]),
    'JSON with numbers': json.dumps([f'{i}. {t}' for i, t in enumerate(TEN, 1)]),
    'JSON nested': json.dumps({'result': {'descriptions': TEN}}),
    'JSON a call': json.dumps({'name': 'describe', 'arguments': {'descriptions': TEN}}),
    'JSON of a text': json.dumps({'reply': LIST}),
    'JSON lines': listed([json.dumps({'description': t}) for t in TEN], ''),
    'JSON with a last comma': json.dumps(TEN)[:-1] + ',]',
    'JSON in a sentence': f'The list is {json.dumps(TEN)} as asked.',
    'an assignment': f'```python\ndescriptions = {json.dumps(TEN, indent=1)}\n```',
    'YAML': 'descriptions:\n' + listed([json.dumps(t) for t in TEN], '  - '),
    # tables and tags
    'table': '| # | Description |\n|---|---|\n' + listed([f'{t} |' for t in TEN], '| {} | '),
    'table, one column': '| Description |\n| :--- |\n' + listed([f'| {t} |' for t in TEN], ''),
    'table without edges': 'No | Description\n--- | ---\n' + listed(TEN, '{} | '),
    'table and words': 'Here:\n\n| Aspect | Description |\n|---|---|\n'
    + listed([f'| Part | {t} |' for t in TEN], '')
    + '\n\nAnything else?',
    'HTML list': '<ol>' + listed([f'<li>{t}</li>' for t in TEN], '') + '</ol>',
    'XML': '<descriptions>\n'
    + listed([f'{t}</description>' for t in TEN], '<description>')
    + '\n</descriptions>',
    'XML with ids': listed([f'{t}</description>' for t in TEN], '<description id="{}">'),
    'XML around a list': f'<descriptions>\n{LIST}\n</descriptions>',
}

BLIND_TO_A_PART = ['I cannot see the face of the climber, but the helmet is red.', *TEN[1:]]
SORRY_SIGN = ['Sorry is written on the sign.', *TEN[1:]]
LONG = [f'Sentence {i} about it, number {i * 7}.' for i in range(100, 139)]
CHINESE = [f'{c}在草地上奔跑。' for c in '狗猫马羊牛人鸟鹿狼狐']

# words in a good list that look like something else; in the middle and in front
LOOK_ALIKES = [
    ('Not afraid to fall, he climbs.', 'A → sign.', 'A sign | an arrow.'),
    ('The sign reads: STOP', 'The board says "1. Wash 2. Dry".', 'Opened in 1984.'),
    ('A screen shows <div>text</div>.', 'A page has <answer> on it.', 'It says [thinking].'),
    ('A sign says please provide ID.', 'No image is on the wall.', 'Happy to be home, it rests.'),
    (
        'The image is not visible in the mirror.',
        'Leider kann man wenig sehen.',
        'Maafushi lies there.',
    ),
    ('The screen shows ["a", "b"].', 'Note the tree.', 'These sentences are on a wall.'),
    ('Sure footing helps him.', 'Great waves crash.', 'These are red apples.'),
    ('Colours: red.', 'Mood: calm.', 'A 5* hotel and snake_case_name.'),
]

OTHERS = {
    **{
        first: (
            listed([*TEN[:4], *rest, first, *TEN[4:7]]),
            [*TEN[:4], *rest, first, *TEN[4:7]],
            'ok',
        )
        for first, *rest in LOOK_ALIKES
    },
    **{
        f'{first} (begins)': (listed([first, *rest, *TEN[:7]]), [first, *rest, *TEN[:7]], 'ok')
        for first, *rest in LOOK_ALIKES
    },
    'wrapped at a number': (
        '1. A dog.\n2. A street called avenue\n4. is empty.\n'
        + listed(TEN[:8], marks=range(3, 11)),
        ['A dog.', 'A street called avenue 4. is empty.', *TEN[:8]],
        'ok',
    ),
    'a part cannot be seen': (listed(BLIND_TO_A_PART), BLIND_TO_A_PART, 'ok'),
    'a part cannot be seen, lines': (listed(BLIND_TO_A_PART, ''), BLIND_TO_A_PART, 'ok'),
    'sorry on a sign': (listed(SORRY_SIGN), SORRY_SIGN, 'ok'),
    'Chinese on one line': (listed(CHINESE, '{}.', ''), CHINESE, 'ok'),
    '39 numbers': (listed(LONG), LONG, 'long'),
    '39 bullets': (listed(LONG, '- '), LONG, 'long'),
    '39 lines': (listed(LONG, ''), LONG, 'long'),
    '39 in JSON': (json.dumps(LONG), LONG, 'long'),
    'an apology in the list': (listed([*TEN[:9], "I'm sorry, I cannot go on."]), TEN[:9], 'short'),
    'seven': (listed(TEN[:7]), TEN[:7], 'short'),
    'seven with remarks': (listed(TEN[:7]) + '\n\nI hope this helps!', TEN[:7], 'short'),
    'repeats': (listed([*TEN[:4], TEN[0], TEN[2]]), TEN[:4], 'short'),
    'cut': (listed([*TEN[:6], 'A climber with a bl']), TEN[:6], 'truncated'),
    'cut letters': (listed([*TEN[:6], 'A bl'], '{}) ', marks='abcdefg'), TEN[:6], 'truncated'),
    'cut JSON': (json.dumps(TEN)[: json.dumps(TEN).index('thing g')], TEN[:6], 'truncated'),
    'cut nested JSON': (json.dumps({'a': {'b': TEN}})[:170], TEN[:5], 'truncated'),
    'cut table': (
        '| # | Text |\n|---|---|\n'
        + listed([f'{t} |' for t in TEN[:6]], '| {} | ')
        + '\n| 7 | A bl',
        TEN[:6],
        'truncated',
    ),
    'cut thoughts': ('<think>1. Look. 2. Wri', [], 'empty'),
    'cut thinking': (f'<thinking>\n{HIDDEN}', [], 'empty'),
    'cut harmony': (f'<|channel|>analysis<|message|>{HIDDEN}', [], 'empty'),
    'thoughts only': (f'{HIDDEN}</think>', [], 'empty'),
    'a paragraph': (
        'A climber on ice. Snow lies below.',
        ['A climber on ice. Snow lies below.'],
        'short',
    ),
}

REFUSALS = [
    "I can't see the image.",
    'I can’t see the image. Could you upload it again?',
    "I'm sorry, but I cannot help with that.",
    "I'm sorry, but as an AI language model I do not have the ability to view images.",
    'Sorry, no image was provided.',
    'Unfortunately, I am unable to view pictures.',
    '1. I cannot see the image.\n2. Please upload it again.',
    "I can't actually see any image here, so I make it up:\n" + LIST,
    'Hello!\n\nI don’t see an image attached. Please share it.',
    "I can't assist with that request.",
    'I must decline to describe this picture.',
    "I'm not comfortable describing this image.",
    'I do not have the ability to see pictures.',
    'I am a text-based model and work with words only.',
    'As a language model, I work with text only.',
    'It seems that the image did not load.',
    'The image failed to load. Please try again.',
    'There is no image.',
    'Error: unable to process the image.',
    'My apologies, something went wrong with the picture.',
    'This request violates our content policy.',
    'Your input image contains content that is not allowed.',
    "I won't describe this.",
    "We're sorry, but I am unable to process images.",
    'Es tut mir leid, aber ich kann das Bild nicht sehen.',
    'Ich kann leider keine Bilder sehen.',
    'Leider kann ich das Bild nicht öffnen.',
    "Je suis désolé, mais je ne peux pas voir l'image.",
    'Désolé, je ne peux pas vous aider avec cette demande.',
    'Lo siento, no puedo ver la imagen.',
    'No puedo ver imágenes.',
    "Mi dispiace, non posso vedere l'immagine.",
    'Desculpe, não consigo ver a imagem.',
    'Sinto muito, mas não posso ajudar com isso.',
    'Het spijt me, ik kan de afbeelding niet zien.',
    'Przykro mi, ale nie mogę zobaczyć obrazu.',
    'Üzgünüm, bu görseli göremiyorum.',
    'Tyvärr kan jag inte se bilden.',
    'Xin lỗi, tôi không thể xem hình ảnh.',
    'Maaf, saya tidak dapat melihat gambar.',
    'Извините, я не могу просматривать изображения.',
    'К сожалению, я не вижу изображения.',
    '抱歉，我无法查看图片。',
    '对不起，我不能帮助你。',
    '申し訳ありませんが、画像を表示できません。',
    '죄송합니다. 이미지를 볼 수 없습니다.',
    'عذراً، لا أستطيع رؤية الصورة.',
    'क्षमा करें, मैं छवि नहीं देख सकता।',
    'Lo siento, no puedo ver la imagen.\n1. No puedo verla.\n2. Envíela otra vez.',
]

STYLES = {
    **{name: (reply, TEN, 'ok') for name, reply in GIVE_TEN.items()},
    **OTHERS,
    **{reply[:30]: (reply, [], 'refused') for reply in REFUSALS},
}
