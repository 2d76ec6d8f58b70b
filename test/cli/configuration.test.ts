import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Either } from "effect"
import * as fc from "fast-check"
import * as Configuration from "../../src/cli/config/configuration.js"
import * as Document from "../../src/cli/config/document.js"
import * as JsonSyntax from "../../src/cli/config/jsonSyntax.js"

const lines = (text: string, path: string, env: ReadonlyArray<readonly [string, string]> = []) =>
  Configuration.parse(text, path).pipe(
    Effect.map(({ faults, warnings }) => ({
      faults: faults.map((fault) => Document.formatFault(path, fault)),
      warnings: warnings.map((fault) => Document.formatFault(path, fault))
    })),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(env)))
  )

const json = `{
  "openai": [
    {
      "modle_name": "gpt-4o",
      "api_keys": ["\${NOT_SET}", 7, { "weight": 2 }],
      "retry_delay": "soon"
    },
    { "model_name": "two", "api_keys": [] }
  ],
  "dots.and[brackets]": [{ "model_name": "three", "api_keys": ["k"] }],
  "$default": "nobody"
}
`

it.effect("names a YAML text without its closing quote at the line where it begins", () =>
  Effect.gen(function* () {
    const faultOf = (text: string) =>
      Effect.map(Configuration.parse(text, "models.yaml"), ({ faults }) =>
        faults.map((fault) => Document.formatFault("models.yaml", fault))
      )
    const start = "openai:\n  - model_name: gpt-4o\n    "
    expect(yield* faultOf(`${start}api_keys: ["sk-one]\n    base_url: x\n`)).toContain(
      'models.yaml:3:16: not valid YAML: a text has no closing "'
    )
    expect(yield* faultOf(`${start}base_url: 'https://example.com\n`)).toEqual([
      "models.yaml:3:15: not valid YAML: a text has no closing '"
    ])
  })
)

it.effect("suggests the field, the preset or the provider that was probably meant", () =>
  Effect.gen(function* () {
    const text =
      '{ "opnai": [{ "model_name": "m", "api_keys": ["k"], "max_retires": 2 }],' +
      ' "mine": [{ "model_name": "n", "api_keys": ["k"], "preset": "mistrl" }],' +
      ' "$groups": { "g": { "stragety": "cost", "members": ["mine/n"] } } }'
    const { faults, warnings } = yield* Configuration.parse(text, "models.json")
    const lines = [...faults, ...warnings].map(({ message, path }) => `${path}: ${message}`)
    expect(lines).toEqual([
      'opnai[0].base_url: is missing: no provider is called "opnai". Did you mean openai?',
      "mine[0].base_url: is missing",
      'mine[0].preset: no preset is called "mistrl". Did you mean mistral?',
      "opnai[0].max_retires: unknown field, did you mean max_retries?",
      "$groups.g.stragety: unknown field, did you mean strategy?"
    ])
  })
)

describe("positions of configuration faults", () => {
  it.effect("reports each fault of a JSON file at its value, and a missing field at the enclosing object", () =>
    Effect.gen(function* () {
      expect(yield* lines(json, "provider.json")).toEqual({
        faults: [
          "provider.json:3:5: openai[0].model_name: is missing",
          "provider.json:5:20: openai[0].api_keys[0]: names an environment variable that is not set",
          'provider.json:5:34: openai[0].api_keys[1]: expected a key, or an object such as { "key": …, "weight": 2 }',
          "provider.json:5:37: openai[0].api_keys[2].key: is missing",
          "provider.json:6:7: openai[0].retry_delay: expected a number that is not negative",
          "provider.json:8:28: openai[1].api_keys: expected at least one key",
          "provider.json:10:26: dots.and[brackets][0].base_url: is missing",
          "provider.json:11:3: $default: is no model, no group and no alias of this file"
        ],
        warnings: ["provider.json:4:7: openai[0].modle_name: unknown field, did you mean model_name?"]
      })
    })
  )

  it.effect("reports faults of a YAML file through anchors and aliases", () =>
    Effect.gen(function* () {
      const yaml = `keys: &keys
  weight: 2
openai:
  - model_name: gpt-4o
    api_keys:
      - \${KEY}
      - *keys
    timeout: -1
`
      expect((yield* lines(yaml, "provider.yaml", [["KEY", "sk-one"]])).faults).toEqual([
        "provider.yaml:1:1: keys: expected a list of models",
        "provider.yaml:7:9: openai[0].api_keys[1].key: is missing",
        "provider.yaml:8:5: openai[0].timeout: expected a positive number"
      ])
    })
  )

  it.effect("reports a syntax error without quoting the line", () =>
    Effect.gen(function* () {
      const broken = '{\n  "openai": [{ "api_keys": ["sk-secret" "sk-other"] }]\n}'
      const { faults } = yield* lines(broken, "provider.json")
      expect(faults[0]).toBe("provider.json:2:41: not valid JSON")
      expect(faults.join("")).not.toContain("sk-")
      const yaml = yield* lines("openai:\n  - model_name: [sk-secret\n", "provider.yml")
      expect(yaml.faults[0]).toMatch(/^provider\.yml:\d+:\d+: not valid YAML: [a-z ]+$/)
      expect(yaml.faults.join("")).not.toContain("sk-")
    })
  )

  it.effect("warns about a duplicate section in JSON", () =>
    Effect.gen(function* () {
      const section = '"openai": [{ "model_name": "gpt-4o", "api_keys": ["k"] }]'
      expect(yield* lines(`{\n${section},\n${section}\n}`, "provider.json")).toEqual({
        faults: [],
        warnings: ["provider.json:3:1: duplicate key"]
      })
    })
  )

  it.effect("rejects YAML syntax in a JSON file, and an empty file", () =>
    Effect.gen(function* () {
      expect((yield* lines("{ openai: [] }", "provider.json")).faults).toHaveLength(1)
      expect((yield* lines('{\n  "openai": [7,]\n}', "provider.json")).faults).toEqual([
        "provider.json:2:16: not valid JSON"
      ])
      expect((yield* lines("", "provider.json")).faults).toHaveLength(1)
      expect((yield* lines("# nothing\n", "provider.yaml")).faults).toEqual([
        "provider.yaml: expected an object of providers, or a list of provider configurations"
      ])
    })
  )
})

describe("JsonSyntax.faultOf", () => {
  const piece = fc.constantFrom(
    ...'{}[],:" \n-+.eE019\\u/abtruefalsn'.split(""),
    '"a"',
    '{"a":',
    "true",
    "null",
    "[1,2]"
  )
  const text = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("")),
    fc.json(),
    fc.tuple(fc.json(), fc.nat(30), piece).map(([json, at, piece]) => json.slice(0, at) + piece + json.slice(at))
  )

  it.prop("accepts exactly the texts that JSON.parse accepts", [text], ([text]) => {
    const isJson = Either.isRight(Either.try((): unknown => JSON.parse(text)))
    expect(JsonSyntax.faultOf(text) === undefined).toBe(isJson)
  })

  it.prop(
    "finds an inserted control character, and reports trailing text at the end of valid JSON",
    [fc.json(), fc.nat(30)],
    ([json, at]) => {
      const end = Math.min(at, json.length - 1)
      expect(JsonSyntax.faultOf(`${json.slice(0, end)}\u0000${json.slice(end)}`)).toBeGreaterThanOrEqual(0)
      expect(JsonSyntax.faultOf(`${json}?`)).toBe(json.length)
    }
  )
})

describe("Configuration.parse of YAML aliases", () => {
  it.effect("rejects a YAML file whose aliases expand exponentially", () =>
    Effect.gen(function* () {
      const doubled = Array.from({ length: 40 }, (_, index) => `a${index + 1}: &a${index + 1} [*a${index}, *a${index}]`)
      const { faults } = yield* lines(["a0: &a0 [x]", ...doubled].join("\n"), "provider.yaml")
      expect(faults).toEqual(["provider.yaml: too many aliases"])
    })
  )
})

describe("Configuration.parseFile", () => {
  it.effect("returns the file, or an error whose faults and warnings contain line and column", () =>
    Effect.gen(function* () {
      const yaml = (more: string) => `openai:\n  - model_name: gpt-4o\n    api_keys: [k]\n${more}`
      const file = yield* Configuration.parseFile(yaml(""), "a.yml")
      expect(file.models.map(({ model }) => model)).toEqual(["gpt-4o"])
      const error = yield* Effect.flip(Configuration.parseFile(yaml("    timout: 3\n    timeout: soon\n"), "a.yml"))
      expect(error.message).toBe(
        "a.yml cannot be used. openai[0].timeout: expected a positive number (line 5, column 5)"
      )
      expect(error.warnings).toEqual(["openai[0].timout: unknown field, did you mean timeout? (line 4, column 5)"])
      expect((yield* Effect.flip(Configuration.parseFile("{", "a.json"))).message).toBe(
        "a.json cannot be used. not valid JSON (line 1, column 2)"
      )
    })
  )
})

describe("Configuration.parse", () => {
  it.effect("reads the same configuration from JSON and from YAML", () =>
    Effect.gen(function* () {
      const fromJson = yield* Configuration.parse(
        '{ "openai": [{ "model_name": "gpt-4o", "api_keys": ["k"] }], "$aliases": { "smart": "openai/gpt-4o" } }',
        "a.json"
      )
      const fromYaml = yield* Configuration.parse(
        'openai:\n  - model_name: gpt-4o\n    api_keys: [k]\n$aliases: { smart: "openai/gpt-4o" }\n',
        "a.yaml"
      )
      expect(fromJson.file?.aliases).toEqual({ smart: "openai/gpt-4o" })
      expect(fromYaml.file?.models.map(({ model }) => model)).toEqual(["gpt-4o"])
      expect(JSON.stringify(fromYaml.file)).toBe(JSON.stringify(fromJson.file))
    })
  )
})
