/** Texts of JSON objects as no serializer would write them: any order, duplicates, escapes, white space and notation of numbers. */
import * as FastCheck from "fast-check"

export interface MemberText {
  readonly name: string
  readonly quoted: string
  readonly value: string
}

export interface ObjectText {
  readonly members: ReadonlyArray<MemberText>
  readonly space: string
}

const space = FastCheck.constantFrom("", "", " ", "\n  ", "\r\n\t")

const escapes = (text: string): string =>
  JSON.stringify(text).replace(/[a-f]/g, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`)

/** A string with or without escapes. */
const stringText = FastCheck.oneof(
  FastCheck.string({ unit: "grapheme" }).map((text) => JSON.stringify(text)),
  FastCheck.string().map(escapes),
  FastCheck.constantFrom('"\\\\"', '"\\"}"', '"{[\\\\\\"]"', '"\\/\\ud83d\\ude00"')
)

const numberText = FastCheck.constantFrom(
  "1.0",
  "1e3",
  "-0",
  "9007199254740993",
  "0.10000",
  "1E-7",
  "12345678901234567890123"
)

const { value: valueText } = FastCheck.letrec<{ value: string }>((tie) => ({
  value: FastCheck.oneof(
    { maxDepth: 3, depthSize: "small" },
    stringText,
    numberText,
    FastCheck.constantFrom("true", "false", "null"),
    FastCheck.tuple(FastCheck.array(tie("value"), { maxLength: 4 }), space).map(
      ([values, white]) => `[${white}${values.join(`${white},${white}`)}${white}]`
    ),
    FastCheck.tuple(FastCheck.array(FastCheck.tuple(stringText, tie("value")), { maxLength: 4 }), space).map(
      ([entries, white]) =>
        `{${white}${entries.map(([name, value]) => `${name}${white}:${white}${value}`).join(`,${white}`)}${white}}`
    )
  )
}))

export const valueTexts = valueText

/** Members whose names begin with `x_`, so that no protocol has them. */
export const unknownMembers: FastCheck.Arbitrary<ReadonlyArray<MemberText>> = FastCheck.array(
  FastCheck.record({
    name: FastCheck.oneof(
      FastCheck.constantFrom("x_a", "x_b"),
      FastCheck.string().map((text) => `x_${text}`)
    ),
    isEscaped: FastCheck.boolean(),
    value: valueText
  }).map(({ isEscaped, name, value }) => ({ name, quoted: isEscaped ? escapes(name) : JSON.stringify(name), value })),
  { maxLength: 6 }
)

export const objectTexts: FastCheck.Arbitrary<ObjectText> = FastCheck.record({ members: unknownMembers, space })

export const spaces = space

/** The text of an object, with other values where `valueOf` has others. */
export const renderObject = (
  { members, space }: ObjectText,
  valueOf: (index: number, value: string) => string = (_, value) => value
): string =>
  `${space}{${space}${members
    .map(({ quoted, value }, index) => `${quoted}${space}:${space}${valueOf(index, value)}`)
    .join(`${space},${space}`)}${space}}${space}`
