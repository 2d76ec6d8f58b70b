/** What is wrong with a value that does not match its schema: one module, since the issues of Effect 4 are others. */
import { Option, ParseResult, Predicate, Schema, SchemaAST } from "effect"
import type { Finding } from "./expectations.js"
import * as Expectations from "./expectations.js"

export type { Finding } from "./expectations.js"

type Path = ReadonlyArray<PropertyKey>

const formatted = (issue: ParseResult.ParseIssue, path: Path): ReadonlyArray<Finding> =>
  ParseResult.ArrayFormatter.formatIssueSync(issue).map((found) =>
    Expectations.fault([...path, ...found.path], found.message)
  )

const textOf = (annotations: SchemaAST.Annotations, key: symbol): string | undefined => {
  const text = annotations[key]
  return typeof text === "string" ? text : undefined
}

/** What a filter expects: one of Effect by what it requires, one of a program by its description. */
const wordsOfFilter = ({ annotations }: SchemaAST.Refinement): string => {
  const schemaId = annotations[SchemaAST.SchemaIdAnnotationId]
  const jsonSchema = annotations[SchemaAST.JSONSchemaAnnotationId]
  const payload = typeof schemaId === "symbol" ? annotations[schemaId] : undefined
  const own =
    schemaId === undefined
      ? undefined
      : Predicate.isReadonlyRecord(jsonSchema)
        ? Expectations.wordsOfFilter(jsonSchema, Predicate.isReadonlyRecord(payload) ? payload : {})
        : schemaId === Schema.ValidDateSchemaId
          ? "a valid Date"
          : undefined
  return (
    own ??
    textOf(annotations, SchemaAST.DescriptionAnnotationId) ??
    textOf(annotations, SchemaAST.TitleAnnotationId) ??
    "a valid value"
  )
}

const wordsOf = (ast: SchemaAST.AST): string => {
  switch (ast._tag) {
    case "StringKeyword":
      return "string"
    case "NumberKeyword":
      return "number"
    case "BooleanKeyword":
      return "boolean"
    case "UndefinedKeyword":
      return "undefined"
    case "NeverKeyword":
      return "never"
    case "Literal":
      return Expectations.literal(ast.literal)
    case "Enums":
      return Expectations.anyOf(ast.enums.map(([, value]) => Expectations.literal(value)))
    case "TemplateLiteral":
      return "string"
    case "TupleType":
      return "array"
    case "TypeLiteral":
    case "ObjectKeyword":
      return "object"
    case "Union":
      return Expectations.anyOf(
        ast.types.filter(({ _tag }) => ast.types.length === 1 || _tag !== "UndefinedKeyword").map(wordsOf)
      )
    case "Suspend":
      return wordsOf(ast.f())
    case "Transformation":
    case "Refinement":
      return wordsOf(ast.from)
    default:
      return "a valid value"
  }
}

const literalsOf = (ast: SchemaAST.AST): ReadonlyArray<unknown> =>
  ast._tag === "Literal"
    ? [ast.literal]
    : ast._tag === "Union" && ast.types.every(({ _tag }) => _tag === "Literal")
      ? ast.types.flatMap(literalsOf)
      : []

const discriminatorOf = (ast: SchemaAST.Union): Expectations.Discriminator | undefined =>
  Expectations.discriminatorOf(
    ast.types
      .map(SchemaAST.encodedAST)
      .filter(SchemaAST.isTypeLiteral)
      .map(
        ({ propertySignatures }) =>
          new Map(propertySignatures.map(({ name, type }) => [name, literalsOf(type)] as const))
      )
  )

/** What a text is to be decoded into, which Effect says of it. */
const encodedWords = (ast: SchemaAST.AST): string | undefined => {
  const said = ast._tag === "StringKeyword" ? textOf(ast.annotations, SchemaAST.DescriptionAnnotationId) : undefined
  return said === undefined || !/^a string /i.test(said) ? undefined : said.replace(/^A/, "a")
}

const hasMessage = (ast: SchemaAST.AST): boolean => Option.isSome(SchemaAST.getMessageAnnotation(ast))

export const findingsOf = (issue: ParseResult.ParseIssue, path: Path = []): ReadonlyArray<Finding> => {
  switch (issue._tag) {
    case "Pointer":
      return findingsOf(issue.issue, [...path, ...(Array.isArray(issue.path) ? issue.path : [issue.path])])
    case "Composite": {
      if (hasMessage(issue.ast)) return formatted(issue, path)
      const issues = Array.isArray(issue.issues) ? issue.issues : [issue.issues]
      const findings: ReadonlyArray<ReadonlyArray<Finding>> = issues.map((inner) => findingsOf(inner, path))
      return issue.ast._tag === "Union"
        ? Expectations.findingsOfUnion(
            path,
            { expected: wordsOf(issue.ast), discriminator: discriminatorOf(issue.ast), members: findings },
            issue.actual
          )
        : Expectations.findingsOfParts(path, findings)
    }
    case "Refinement":
      if (hasMessage(issue.ast)) return formatted(issue, path)
      if (issue.kind === "From" || issue.issue._tag !== "Type") return findingsOf(issue.issue, path)
      return issue.issue.message === undefined
        ? [Expectations.refusal(path, wordsOfFilter(issue.ast), issue.issue.actual)]
        : [Expectations.fault(path, issue.issue.message)]
    case "Transformation": {
      if (hasMessage(issue.ast)) return formatted(issue, path)
      if (issue.kind === "Encoded") return findingsOf(issue.issue, path)
      if (issue.kind === "Type") return Expectations.ofDecoded(findingsOf(issue.issue, path))
      const words = encodedWords(issue.ast.from)
      return words === undefined ? formatted(issue.issue, path) : [Expectations.refusal(path, words, issue.actual)]
    }
    case "Unexpected":
      // The places of a list say nothing.
      return [
        Expectations.fault(path, (typeof path.at(-1) === "number" ? undefined : issue.message) ?? "is unexpected")
      ]
    case "Type":
      if (issue.ast._tag === "TemplateLiteral" && typeof issue.actual === "string")
        return [Expectations.refusal(path, Expectations.template, issue.actual)]
      return issue.message !== undefined || hasMessage(issue.ast)
        ? formatted(issue, path)
        : [Expectations.mismatch(path, wordsOf(issue.ast), issue.actual)]
    default:
      return formatted(issue, path)
  }
}
