/** What is wrong with a value that does not match its schema, by the issues of Effect 4. */
import { Predicate, SchemaAST, SchemaIssue } from "effect"
import type { Finding } from "./expectations.js"
import * as Expectations from "./expectations.js"
import { keywordsOf, textOf } from "./filterKeywords.js"

export type { Finding } from "./expectations.js"

type Path = ReadonlyArray<PropertyKey>

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

/** What a filter expects: one of Effect by what it requires, one of a program by its description. */
const wordsOfFilter = (filter: SchemaAST.Check<never>, type: string): string => {
  const { annotations } = filter
  const representation: unknown = annotations?.["representation"]
  const payload =
    Predicate.isObject(representation) && Predicate.isObject(representation["payload"]) ? representation["payload"] : {}
  const own =
    filter._tag === "Filter" && representation !== undefined
      ? Expectations.wordsOfFilter(keywordsOf(filter, type), payload)
      : undefined
  return (
    own ??
    text(annotations?.["description"]) ??
    text(annotations?.["title"]) ??
    text(annotations?.["expected"]) ??
    "a valid value"
  )
}

/** What a member of a union expects. */
const wordsOfEncoded = (ast: SchemaAST.AST): string => {
  const encoded = ast.encoding?.at(-1)?.to
  return encoded === undefined ? wordsOf(ast) : wordsOfEncoded(encoded)
}

const wordsOf = (ast: SchemaAST.AST): string => {
  switch (ast._tag) {
    case "String":
      return "string"
    case "Number":
      return "number"
    case "Boolean":
      return "boolean"
    case "Undefined":
      return "undefined"
    case "Never":
      return "never"
    case "Null":
      return "null"
    case "Literal":
      return Expectations.literal(ast.literal)
    case "Enum":
      return Expectations.anyOf(ast.enums.map(([, value]) => Expectations.literal(value)))
    case "TemplateLiteral":
      return "string"
    case "Arrays":
      return "array"
    case "Objects":
    case "ObjectKeyword":
      return "object"
    case "Union":
      return Expectations.anyOf(
        ast.types.filter(({ _tag }) => ast.types.length === 1 || _tag !== "Undefined").map(wordsOfEncoded)
      )
    case "Suspend":
      return wordsOf(ast.thunk())
    default:
      return (ast.encoding === undefined ? undefined : text(ast.annotations?.["expected"])) ?? "a valid value"
  }
}

const typeOf = (value: unknown): string => (Array.isArray(value) ? "array" : typeof value)

/** What a text is to be decoded into. */
const encodedWords = (ast: SchemaAST.AST): string | undefined => {
  const encoded = ast.encoding?.at(-1)?.to
  if (encoded?._tag !== "String") return undefined
  const description =
    ast._tag === "BigInt"
      ? "a string to be decoded into a bigint"
      : text(textOf(String(encoded.annotations?.["expected"]))["description"])
  return description?.replace(/^A/, "a")
}

const standard = SchemaIssue.makeFormatterStandardSchemaV1()

const formatted = (issue: SchemaIssue.Issue, path: Path): ReadonlyArray<Finding> =>
  standard(issue).issues.map((found) =>
    Expectations.fault(
      [...path, ...(found.path ?? []).map((step) => (typeof step === "object" ? step.key : step))],
      found.message
        .replace(/^(Expected [^]*), got /, "$1, actual ")
        .replace("a string matching template literal parts", Expectations.template)
    )
  )

const messageIn = (annotations: unknown): string | undefined =>
  Predicate.isObject(annotations) ? text(annotations["message"]) : undefined

const isMessage = (issue: SchemaIssue.Issue): issue is SchemaIssue.InvalidValue =>
  issue._tag === "InvalidValue" &&
  (messageIn(issue.annotations) !== undefined || issue.annotations?.["expected"] !== undefined)

const literalsOf = (ast: SchemaAST.AST): ReadonlyArray<unknown> =>
  SchemaAST.isLiteral(ast)
    ? [ast.literal]
    : SchemaAST.isUnion(ast) && ast.types.every(SchemaAST.isLiteral)
      ? ast.types.flatMap(literalsOf)
      : []

const discriminatorOf = (ast: SchemaAST.Union): Expectations.Discriminator | undefined =>
  Expectations.discriminatorOf(
    ast.types
      .map((type) => SchemaAST.toEncoded(type))
      .filter(SchemaAST.isObjects)
      .map(
        ({ propertySignatures }) =>
          new Map(propertySignatures.map(({ name, type }) => [name, literalsOf(type)] as const))
      )
  )

/** Whether a property is missing that can be `undefined`: for JSON, it is. */
const isUndefinedProperty = (ast: SchemaAST.AST, issue: SchemaIssue.Issue): boolean => {
  if (issue._tag !== "Pointer" || issue.issue._tag !== "MissingKey" || !SchemaAST.isObjects(ast)) return false
  const property = ast.propertySignatures.find(({ name }) => name === issue.path[0])
  const encoded = property === undefined ? undefined : SchemaAST.toEncoded(property.type)
  return encoded?._tag === "Union" && encoded.types.some(({ _tag }) => _tag === "Undefined")
}

export const findingsOf = (issue: SchemaIssue.Issue, path: Path = []): ReadonlyArray<Finding> => {
  switch (issue._tag) {
    case "Pointer":
      return findingsOf(issue.issue, [...path, ...issue.path])
    case "Composite": {
      // Of the filters of one value, those after the first that refuses it say no more.
      const firstFilter = issue.issues.find(({ _tag }) => _tag === "Filter")
      const needed = issue.issues.filter((inner) => !isUndefinedProperty(issue.ast, inner))
      return Expectations.findingsOfParts(
        path,
        (needed.length === 0 ? issue.issues : needed)
          .filter((inner) => inner._tag !== "Filter" || inner === firstFilter)
          .map((inner) => findingsOf(inner, path))
      )
    }
    case "AnyOf":
      return Expectations.findingsOfUnion(
        path,
        {
          expected: wordsOf(issue.ast),
          discriminator: discriminatorOf(issue.ast),
          members: issue.issues.map((inner) => findingsOf(inner, path))
        },
        issue.input
      )
    case "Filter": {
      const message = messageIn(issue.filter.annotations)
      if (message !== undefined) return [Expectations.fault(path, message)]
      const { issue: inner } = issue
      if (inner._tag !== "InvalidValue") return findingsOf(inner, path)
      return isMessage(inner)
        ? formatted(inner, path)
        : [Expectations.refusal(path, wordsOfFilter(issue.filter, typeOf(issue.input)), issue.input)]
    }
    case "Encoding": {
      if (issue.issue._tag !== "InvalidValue") return findingsOf(issue.issue, path)
      const words = encodedWords(issue.ast)
      return words === undefined ? formatted(issue.issue, path) : [Expectations.refusal(path, words, issue.input)]
    }
    case "InvalidType":
      if (messageIn(issue.ast.annotations) !== undefined) return formatted(issue, path)
      return issue.ast.encoding === undefined
        ? [Expectations.mismatch(path, wordsOf(issue.ast), issue.input)]
        : [Expectations.refusal(path, wordsOf(issue.ast), issue.input)]
    case "MissingKey":
      return [Expectations.fault(path, text(issue.annotations?.["messageMissingKey"]) ?? "is missing")]
    case "UnexpectedKey": {
      const names = issue.ast._tag === "Objects" ? issue.ast.propertySignatures.map(({ name }) => name) : []
      const expected = names.map((name) => Expectations.literal(String(name)))
      return [
        Expectations.fault(
          path,
          expected.length === 0 ? "is unexpected" : `is unexpected, expected: ${expected.join(" | ")}`
        )
      ]
    }
    default:
      return formatted(issue, path)
  }
}
