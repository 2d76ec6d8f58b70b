/** Validators of OpenAI's API description, from the folder `LLM_SPECS`. */
import type { ErrorObject } from "ajv/dist/2020.js"
import { Ajv2020 } from "ajv/dist/2020.js"
import { readFileSync } from "node:fs"
import { join } from "node:path"

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** Keywords that say nothing about a value, or that ajv does not have. */
const isDropped = (keyword: string, value: unknown): boolean =>
  keyword.startsWith("x-") ||
  ["discriminator", "example", "examples", "$recursiveAnchor", "$recursiveRef"].includes(keyword) ||
  (keyword === "exclusiveMinimum" && typeof value === "boolean")

/** A schema of OpenAPI as one of JSON Schema 2020-12. `oneOf` becomes `anyOf`, since some of its members overlap. */
const toJsonSchema = (schema: unknown, isNameOfProperty = false): unknown => {
  if (Array.isArray(schema)) return schema.map((each) => toJsonSchema(each))
  if (!isObject(schema)) return schema
  const converted = Object.fromEntries(
    Object.entries(schema)
      .filter(([keyword, value]) => isNameOfProperty || !isDropped(keyword, value))
      .map(([keyword, value]) => [
        keyword === "oneOf" && !isNameOfProperty ? "anyOf" : keyword,
        ["enum", "const", "default"].includes(keyword) && !isNameOfProperty
          ? value
          : toJsonSchema(value, !isNameOfProperty && ["properties", "schemas", "$defs"].includes(keyword))
      ])
  )
  if (isNameOfProperty || converted["nullable"] !== true) return converted
  const { nullable: _, ...others } = converted
  return { anyOf: [others, { type: "null" }] }
}

/** The value at a JSON pointer. */
const valueAt = (value: unknown, pointer: string): unknown =>
  pointer
    .split("/")
    .slice(1)
    .reduce<unknown>(
      (inner, name) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, name) : inner),
      value
    )

/** What is wrong. Of a value that no member of a union fits, the value says more than what each member lacks. */
const describeErrors = (errors: ReadonlyArray<ErrorObject>, value: unknown): ReadonlyArray<string> => {
  const unions = errors.filter(({ keyword }) => keyword === "anyOf").map(({ instancePath }) => instancePath)
  const innermost = unions.filter((path) => !unions.some((other) => other.startsWith(`${path}/`)))
  return innermost.length > 0
    ? [...new Set(innermost)].map((path) => `${path} fits no schema: ${JSON.stringify(valueAt(value, path))}`)
    : errors.map(({ instancePath, message = "", params }) => `${instancePath} ${message} ${JSON.stringify(params)}`)
}

/** The faults of a value, each with its place. */
export type Validate = (value: unknown) => ReadonlyArray<string>

/** Validates by the schemas of a folder's `openai.json`. An unknown top-level field is a fault. */
export const validators = (folder: string): ((name: string) => Validate) => {
  const { components } = JSON.parse(readFileSync(join(folder, "openai.json"), "utf8"))
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateSchema: false, validateFormats: false })
  ajv.addSchema({ $id: "openai", components: toJsonSchema(components) })
  return (name) => {
    const validate = ajv.compile({
      $ref: `openai#/components/schemas/${name}`,
      unevaluatedProperties: false
    })
    return (value) => (validate(value) ? [] : describeErrors(validate.errors ?? [], value))
  }
}
