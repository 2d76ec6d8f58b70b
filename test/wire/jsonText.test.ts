/** Changes of members in the text of a JSON object, compared with the values that `JSON.parse` reads. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as JsonText from "../../src/wire/jsonText.js"
import { objectTexts, renderObject } from "./jsonTexts.js"

const change = (text: string, name: string, by: JsonText.Change): string => JsonText.edit(text, new Map([[name, by]]))

/** A name of a member, or another one. */
const named = FastCheck.tuple(objectTexts, FastCheck.nat(20)).map(([object, index]) => ({
  ...object,
  name: object.members[index]?.name ?? "absent"
}))

describe("JsonText.edit", () => {
  it.prop("leaves a text without changes as it is", [objectTexts], ([object]) => {
    expect(JsonText.edit(renderObject(object), new Map())).toBe(renderObject(object))
  })

  it.prop(
    "replaces the last value of a name, removes its other members, and changes no other character",
    [named, FastCheck.jsonValue()],
    ([object, value]) => {
      const json = JSON.stringify(value)
      const edited = change(renderObject(object), object.name, JsonText.set(value))
      const last = object.members.findLast(({ name }) => name === object.name)
      const members = object.members.filter((member) => member === last || member.name !== object.name)
      if (last === undefined)
        expect(JSON.parse(edited)).toEqual({ ...JSON.parse(renderObject(object)), absent: JSON.parse(json) })
      else
        expect(edited).toBe(
          renderObject({ ...object, members }, (index, text) => (members[index] === last ? json : text))
        )
    }
  )

  it.prop("removes all members of a name", [named], ([object]) => {
    const { [object.name]: _, ...others } = JSON.parse(renderObject(object)) as Record<string, unknown>
    const edited = change(renderObject(object), object.name, JsonText.remove)
    expect(JSON.parse(edited)).toEqual(others)
    const kept = object.members.filter(({ name }) => name !== object.name)
    for (const { quoted, value } of kept) expect(edited).toContain(`${quoted}${object.space}:${object.space}${value}`)
  })

  it.prop("makes several changes at once", [named, FastCheck.jsonValue()], ([object, value]) => {
    const text = renderObject(object)
    const names = object.members.map(({ name }) => name)
    const changes = new Map<string, JsonText.Change>([
      ...names.map((name): [string, JsonText.Change] => [name, JsonText.remove]),
      [object.name, JsonText.set(value)],
      ["new one", JsonText.set(1)]
    ])
    const expected = JSON.parse(JSON.stringify({ [object.name]: value, "new one": 1 })) as unknown
    expect(JSON.parse(JsonText.edit(text, changes))).toEqual(expected)
  })

  it("changes a member of an object in a member, and replaces what is not an object", () => {
    const inner = JsonText.inside(new Map([["b", JsonText.set(true)]]))
    expect(change('{"a": {"b" :false, "c":1.0} }', "a", inner)).toBe('{"a": {"b" :true, "c":1.0} }')
    expect(change('{"a": { }}', "a", inner)).toBe('{"a": {"b":true }}')
    expect(change('{"a":null}', "a", inner)).toBe('{"a":{"b":true}}')
    expect(change("{}", "a", inner)).toBe('{"a":{"b":true}}')
  })

  it("leaves one member of a name, also where its value stays as it is", () => {
    const text = '{"model":"b","mod\\u0065l" : {"model":1}, "a":{"model":2,"model":3},"model":"a"}'
    expect(change(text, "model", JsonText.set("a"))).toBe('{"a":{"model":2,"model":3},"model":"a"}')
    expect(change('{"a":1,"a":{"c":2.0}}', "a", JsonText.inside(new Map([["b", JsonText.set(1)]])))).toBe(
      '{"a":{"c":2.0,"b":1}}'
    )
  })

  it("makes no text longer by its duplicates", () => {
    const text = `{${'"a":0,'.repeat(100_000)}"a":{"b":"${"x".repeat(100_000)}"}}`
    expect(change(text, "a", JsonText.inside(new Map([["c", JsonText.set(1)]]))).length).toBeLessThan(text.length)
  })

  it("finds a name with escapes and strings that end with a backslash", () => {
    expect(change('{"x":"\\\\","mod\\u0065l":"a\\\\\\"b"}', "model", JsonText.set("m"))).toBe(
      '{"x":"\\\\","mod\\u0065l":"m"}'
    )
  })

  it("takes time that is linear in the size of the text", () => {
    const text = `{"a":${"[".repeat(200_000)}${"]".repeat(200_000)},"b":"${"\\\\".repeat(500_000)}","model":1}`
    expect(change(text, "model", JsonText.set(2))).toBe(text.replace('"model":1', '"model":2'))
  })
})
