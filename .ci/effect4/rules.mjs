// What the names of Effect 3 are called in Effect 4.
import ts from "ts5"

/** Where a module went, if not to the same path. */
export const modules = {
  "@effect/vitest": "local:test/support/effectVitest.js",
  "effect/FastCheck": "package:fast-check",
  "effect/JSONSchema": "effect/JsonSchema",
  "@effect/platform-node/NodeKeyValueStore": "effect/persistence/KeyValueStore",
  "@effect/experimental/Persistence/Redis": "effect/persistence/Redis",
  "effect/Either": "effect/Result",
  "effect/ConfigError": "effect/Config",
  "effect/Mailbox": "effect/Queue",
  "effect/TestClock": "effect/testing/TestClock",
  "effect/ParseResult": "effect/SchemaIssue",
  "effect/Encoding": "effect/encoding/Base64",
  "effect/MetricKey": "effect/Metric",
  "effect/MetricState": "effect/Metric",
  "effect/FiberRef": "effect/References",
  "@effect/platform/Error": "effect/PlatformError",
  "@effect/platform/FileSystem": "effect/FileSystem",
  "@effect/platform/Path": "effect/Path",
  "@effect/platform/Terminal": "effect/Terminal",
  "@effect/platform/KeyValueStore": "effect/persistence/KeyValueStore",
  "@effect/platform/HttpApp": "effect/http/HttpEffect",
  ...Object.fromEntries(
    [
      "FetchHttpClient",
      "HttpMethod",
      "Headers",
      "HttpBody",
      "HttpClient",
      "HttpClientError",
      "HttpClientRequest",
      "HttpClientResponse",
      "HttpIncomingMessage",
      "HttpMiddleware"
    ]
      .concat([
        "HttpRouter",
        "HttpServer",
        "HttpServerError",
        "HttpServerRequest",
        "HttpServerResponse",
        "HttpTraceContext",
        "Url",
        "UrlParams",
        "Cookies"
      ])
      .map((name) => [`@effect/platform/${name}`, `effect/http/${name}`])
  ),
  ...Object.fromEntries(
    [
      "HttpApi",
      "HttpApiBuilder",
      "HttpApiEndpoint",
      "HttpApiGroup",
      "HttpApiMiddleware",
      "HttpApiSchema",
      "HttpApiSecurity",
      "OpenApi"
    ].map((name) => [`@effect/platform/${name}`, `effect/http-api/${name}`])
  ),
  ...Object.fromEntries(
    ["AiError", "Chat", "EmbeddingModel", "LanguageModel", "Prompt", "Response", "Tokenizer", "Tool", "Toolkit"].map(
      (name) => [`@effect/ai/${name}`, `effect/ai/${name}`]
    )
  ),
  "@effect/experimental/Persistence": "effect/persistence/Persistence",
  "@effect/platform-node/NodeContext": "@effect/platform-node/NodeServices",
  "@effect/opentelemetry/Otlp": "effect/observability/Otlp",
  "@effect/opentelemetry/OtlpTracer": "effect/observability/OtlpTracer",
  "@effect/opentelemetry/OtlpSerialization": "effect/observability/OtlpSerialization"
}

/** `module old=new …`, a line for each module; a new name with a slash is of another module, one after `facade.` is of the facade. */
const renamed = `
effect/Effect zipRight=andThen catchAll=catch catchAllCause=catchCause catchAllDefect=catchDefect async=callback fork=facade.fork
effect/Effect forkDaemon=facade.forkDaemon forkScoped=facade.forkScoped forkIn=facade.forkIn either=result clock=effect/Clock.Clock makeLatch=effect/Latch.make unsafeMakeLatch=effect/Latch.makeUnsafe
effect/Effect Latch=effect/Latch.Latch makeSemaphore=effect/Semaphore.make unsafeMakeSemaphore=effect/Semaphore.makeUnsafe Semaphore=effect/Semaphore.Semaphore
effect/Effect zipLeft=tap withFiberRuntime=withFiber Effect.Success=Success Effect.Error=Error Effect.Context=Services
effect/Effect intoDeferred=effect/Deferred.into tapErrorCause=tapCause disconnect=facade.disconnect timeoutFail=facade.timeoutFail
effect/Effect timeoutTo=facade.timeoutTo if=facade.branch orElse=catch tapBoth=facade.tapBoth zipWithConcurrent=zipWith
effect/Effect configProviderWith=facade.configProviderWith logAnnotations=effect/References.CurrentLogAnnotations optionFromOptional=facade.optionFromOptional
effect/Effect runtime=context console=effect/Console.Console fiberIdWith=facade.fiberIdWith negate=facade.negate dieMessage=facade.dieMessage
effect/Effect withConfigProvider=facade.withConfigProvider forkWithErrorHandler=facade.forkWithErrorHandler withClock=facade.withClock
effect/Effect withRandom=facade.withRandom onDone=facade.onDone unless=facade.unless withMetric=track tagMetrics=facade.tagMetrics zip=zip
effect/Effect scopeWith=facade.scopeWith tapErrorTag=tapErrorTag whenEffect=facade.whenEffect fromNullable=fromNullishOr inheritFiberRefs=facade.inheritFiberRefs
effect/Effect withMaxOpsBeforeYield=facade.withMaxOpsBeforeYield withScheduler=facade.withScheduler ensureErrorType=facade.identity metricLabels=effect/Metric.CurrentMetricAttributes
effect/Effect filterEffectOrFail=facade.filterEffectOrFail interruptWith=facade.interruptWith allWith=all
effect/Either left=fail right=succeed Either=Result isLeft=isFailure isRight=isSuccess mapLeft=mapError getRight=getSuccess getLeft=getFailure
effect/Either fromNullable=fromNullishOr Left=Failure Right=Success filterOrLeft=filterOrFail isEither=isResult
effect/Duration DurationInput=Input decode=fromInputUnsafe decodeUnknown=facade.durationOf unsafeDivide=divideUnsafe lessThan=isLessThan
effect/Duration lessThanOrEqualTo=isLessThanOrEqualTo greaterThan=isGreaterThan greaterThanOrEqualTo=isGreaterThanOrEqualTo
effect/Layer scoped=effect scopedContext=effectContext scopedDiscard=effectDiscard unwrapEffect=unwrap unwrapScoped=unwrap setConfigProvider=effect/ConfigProvider.layer
effect/Layer Layer.Context=Services Layer.Success=Success Layer.Error=Error setTracer=test.setTracer setClock=test.setClock catchAll=catch memoize=facade.memoize
effect/Cause failureOption=findErrorOption isInterruptedOnly=hasInterruptsOnly isInterrupted=hasInterrupts isEmptyType=facade.isEmptyCause isEmpty=facade.isEmptyCause
effect/Cause flatMap=facade.flatMapCause dieOption=facade.dieOption failures=test.failuresOf defects=test.defectsOf sequential=combine parallel=combine
effect/Cause NoSuchElementException=NoSuchElementError TimeoutException=TimeoutError isTimeoutException=isTimeoutError RuntimeException=facade.RuntimeException
effect/Cause UnknownException=UnknownError isNoSuchElementException=isNoSuchElementError failureOrCause=facade.failureOrCause isFailure=facade.hasFails isDie=hasDies isFailType=hasFails
effect/Cause IllegalArgumentException=IllegalArgumentError stripFailures=facade.stripFailures squashWith=facade.squashWith interruptors=facade.interruptorsOf
effect/Exit isInterrupted=hasInterrupts causeOption=getCause zipRight=facade.exitZipRight
effect/Option fromNullable=fromNullishOr flatMapNullable=flatMapNullishOr fromEither=facade.optionOfResult
effect/Order number=Number string=String bigint=BigInt greaterThan=isGreaterThan lessThan=isLessThan
effect/Predicate isObject=isObjectKeyword isNullable=isNullish isNotNullable=isNotNullish isRecord=isObject isReadonlyRecord=isReadonlyObject isRecordOrArray=isObjectOrArray isSymbol=isSymbol
effect/Number Order=effect/Order.Number
effect/String Order=effect/Order.String
effect/Chunk unsafeFromArray=fromArrayUnsafe unsafeLast=lastUnsafe unsafeHead=headUnsafe unsafeGet=getUnsafe
effect/Array unsafeGet=getUnsafe isNonEmptyReadonlyArray=isReadonlyArrayNonEmpty isNonEmptyArray=isArrayNonEmpty filterMap=facade.filterMap partition=facade.partition
effect/Array getLefts=getFailures getRights=getSuccesses partitionMap=facade.partitionMap fromNullable=fromNullishOr
effect/Schema decodeUnknown=decodeUnknownEffect decode=decodeEffect encode=encodeEffect encodeUnknown=encodeUnknownEffect decodeUnknownEither=decodeUnknownResult
effect/Schema decodeEither=decodeResult encodeEither=encodeResult encodeUnknownEither=encodeUnknownResult RedactedFromSelf=Redacted annotations=annotate
effect/Schema typeSchema=toType encodedSchema=toEncoded Schema.All=Top Schema.Any=Top Schema.Type=Schema.Type Schema.Encoded=Codec.Encoded Schema.Context=Codec.DecodingServices
effect/Schema Enums=Enum equivalence=toEquivalence Struct.Context=Struct.DecodingServices PropertySignature.All=Top BigIntFromSelf=BigInt DateFromSelf=Date Date=DateFromString
effect/Schema BigDecimal=BigDecimalFromString BigDecimalFromSelf=BigDecimal Redacted=RedactedFromValue DateTimeUtc=DateTimeUtcFromString DateTimeUtcFromSelf=DateTimeUtc URL=URLFromString BigInt=BigIntFromString Object=ObjectKeyword
effect/Schema Array$=$Array Record$=$Record
effect/Scope extend=provide CloseableScope=Closeable
effect/Stream flattenIterables=flattenIterable unwrapScoped=unwrap asyncPush=callback unfoldEffect=facade.unfoldStream fromChunk=facade.fromChunk mapChunksEffect=facade.mapChunksEffect toPull=facade.toPull
effect/Stream fromPull=facade.fromPull runCollect=facade.runCollect repeatEffectChunkOption=facade.repeatChunks flattenChunks=facade.flattenChunks catchAll=catch
effect/Stream catchAllCause=catchCause either=result asyncScoped=callback async=callback Stream.Success=Success Stream.Error=Error Stream.Context=Services
effect/Stream acquireRelease=test.streamAcquireRelease fromChunks=facade.fromChunks mapChunks=facade.mapChunks unfoldChunkEffect=facade.unfoldChunkEffect zipRight=zipRight
effect/Stream repeatEffectOption=facade.repeatOption tapErrorCause=tapCause execute=fromEffectDrain finalizer=facade.streamFinalizer repeatEffect=fromEffectRepeat
effect/Stream onDone=onEnd toAsyncIterableRuntime=toAsyncIterableWith fromAsyncIterable=fromAsyncIterable runForEachChunk=facade.runForEachChunk chunksWith=facade.chunksWith timeoutFail=facade.streamTimeoutFail
effect/Random nextRange=nextBetween nextIntBetween=facade.nextIntBetween Random=Random make=facade.randomOf
effect/Deferred await=facade.awaitDeferred unsafeDone=doneUnsafe unsafeMake=makeUnsafe
effect/DateTime unsafeMake=makeUnsafe unsafeNow=nowUnsafe unsafeSetZoneNamed=setZoneNamedUnsafe unsafeMakeZoned=makeZonedUnsafe
effect/Config string=String nonEmptyString=NonEmptyString number=Number redacted=Redacted boolean=Boolean duration=Duration logLevel=LogLevel literal=facade.configLiteral
effect/Config integer=Int mapOrFail=facade.configMapOrFail url=URL port=Port hashMap=facade.configHashMap array=facade.configArray secret=Redacted
effect/ConfigError ConfigError=ConfigError MissingData=facade.missingData InvalidData=facade.invalidData isMissingDataOnly=facade.isMissingDataOnly isConfigError=facade.isConfigError And=facade.configAnd
effect/ConfigProvider fromMap=test.configProviderFromMap fromJson=fromUnknown
effect/Logger replace=test.replaceLogger minimumLogLevel=test.minimumLogLevel withMinimumLogLevel=facade.withMinimumLogLevel stringLogger=formatSimple jsonLogger=formatJson
effect/Logger logfmtLogger=formatLogFmt prettyLogger=consolePretty structuredLogger=formatStructured add=test.addLogger none=test.noLogger remove=test.removeLogger json=facade.jsonLogs
effect/Logger Logger.Options=Options tracerLogger=tracerLogger defaultLogger=defaultLogger
effect/LogLevel greaterThan=isGreaterThan greaterThanEqual=isGreaterThanOrEqualTo lessThan=isLessThan
effect/Schedule union=facade.scheduleUnion intersect=test.scheduleIntersect
effect/MetricBoundaries fromIterable=facade.boundariesFromIterable exponential=effect/Metric.exponentialBoundaries linear=effect/Metric.linearBoundaries
effect/Mailbox Mailbox=Queue ReadonlyMailbox=Dequeue toStream=effect/Stream.fromQueue make=facade.makeMailbox
effect/Fiber RuntimeFiber=Fiber interrupt=facade.interruptFiber unsafePoll=facade.pollFiber roots=test.noRoots interruptFork=facade.interruptFork interruptAll=interruptAll
effect/Fiber Fiber.Success=facade.FiberSuccess getCurrentFiber=facade.currentFiber status=facade.fiberStatus poll=facade.pollFiberEffect
effect/FiberRef currentLogAnnotations=CurrentLogAnnotations currentMinimumLogLevel=MinimumLogLevel currentLoggers=CurrentLoggers currentMetricLabels=effect/Metric.CurrentMetricAttributes
effect/FiberRef currentTracerEnabled=TracerEnabled currentTracerTimingEnabled=TracerTimingEnabled currentTracerSpanLinks=TracerSpanLinks
effect/FiberRef currentTracerSpanAnnotations=TracerSpanAnnotations currentLogSpan=CurrentLogSpans getWith=effect/Effect.flatMap currentUnhandledErrorLogLevel=UnhandledLogLevel
effect/FiberRef unhandledErrorLogLevel=UnhandledLogLevel currentMaxOpsBeforeYield=MaxOpsBeforeYield currentScheduler=Scheduler get=facade.identity
effect/ParseResult ParseError=effect/Schema.SchemaError ParseIssue=Issue isParseError=effect/Schema.isSchemaError validateEither=facade.validateEither
effect/ParseResult ArrayFormatter=facade.ArrayFormatter TreeFormatter=facade.TreeFormatter ArrayFormatterIssue=facade.FlatIssue
effect/Encoding encodeBase64=encode decodeBase64=decode decodeBase64String=decodeString encodeHex=effect/encoding/Hex.encode encodeBase64Url=effect/encoding/Base64Url.encode
effect/Encoding decodeHex=effect/encoding/Hex.decode decodeBase64Url=effect/encoding/Base64Url.decode decodeBase64UrlString=effect/encoding/Base64Url.decodeString
effect/Runtime Runtime=facade.Runtime runFork=facade.runForkIn runPromise=facade.runPromiseIn runSync=facade.runSyncIn defaultRuntime=facade.defaultRuntime runPromiseExit=facade.runPromiseExitIn
effect/Scheduler Scheduler=Scheduler
effect/SchemaAST getIdentifierAnnotation=facade.identifierOf getTitleAnnotation=facade.titleOf getDescriptionAnnotation=facade.descriptionOf isTypeLiteral=isObjects
effect/Context Tag.Service=Service.Shape Tag.Identifier=Service.Identifier Tag=Key GenericTag=Service unsafeGet=getUnsafe unsafeMake=makeUnsafe
effect/Redacted unsafeWipe=wipeUnsafe
effect/HashMap unsafeGet=getUnsafe
effect/Metric tagged=facade.taggedMetric fromMetricKey=facade.metricOfKey increment=facade.increment Metric.Counter=Counter Metric.Gauge=Gauge unsafeSnapshot=facade.metricSnapshot set=update
effect/Metric Metric.Histogram=Histogram taggedWithLabels=test.taggedWithLabels incrementBy=update trackDurationWith=facade.trackDurationWith value=value
effect/TestClock currentTimeMillis=effect/Clock.currentTimeMillis testClock=test.testClock
effect/ScheduleDecision isDone=facade.isDoneDecision isContinue=facade.isContinueDecision
@effect/platform/Error PlatformError=PlatformError SystemError=test.SystemError BadArgument=BadArgument
@effect/platform/Headers unsafeFromRecord=fromRecordUnsafe
@effect/platform/HttpServerResponse unsafeJson=jsonUnsafe
@effect/platform/HttpApp Default=facade.HttpApp
@effect/platform/HttpRouter makeRoute=route
@effect/platform/HttpClient withTracerDisabledWhen=facade.withTracerDisabledWhen catchAll=catch
@effect/vitest it.scoped=it.effect
effect/Effect tracerWith=facade.tracerWith mapInputContext=facade.mapInputContext contextWithEffect=facade.contextWithEffect repeatN=facade.repeatN
effect/Schema validateOption=facade.validateOption
effect/Stream unwrapScopedWith=facade.unwrapScopedWith ensuringWith=facade.ensuringWith StreamTypeId=TypeId
effect/MetricLabel MetricLabel=facade.MetricLabel make=facade.makeMetricLabel
effect/MetricKey counter=facade.counterKey gauge=facade.gaugeKey histogram=facade.histogramKey summary=facade.summaryKey
effect/MetricKey taggedWithLabels=facade.taggedKey
effect/Effect contextWith=facade.contextWith
effect/SchemaAST encodedAST=toEncoded getPropertySignatures=facade.propertySignatures
effect/Logger make=test.makeLogger
@effect/platform/HttpClientError RequestError=test.RequestError
effect/Schedule recurWhile=test.recurWhile addDelay=test.addDelay addDelayEffect=test.addDelayEffect
effect/Fiber zip=test.zipFibers never=test.neverFiber
effect/Scheduler make=test.makeScheduler defaultScheduler=test.defaultScheduler
effect/Clock make=test.makeClock
effect/JSONSchema make=test.jsonSchemaOf
effect/TestClock sleeps=test.sleeps
effect/Stream mapConcat=test.mapConcat
effect/Layer map=test.mapLayer
effect/Schema UUID=test.UUID ULID=test.ULID Uppercased=test.Uppercased
effect/ParseResult succeed=effect/Result.succeed
@effect/platform/HttpClient withTracerPropagation=test.withTracerPropagation
@effect/platform/HttpClientRequest bodyUnsafeJson=bodyJsonUnsafe
@effect/platform/HttpApp toWebHandlerRuntime=test.toWebHandler
@effect/platform-node/NodeKeyValueStore layerFileSystem=test.layerFileSystem
@effect/experimental/Persistence/Redis layer=test.layerRedis
@effect/platform-node/NodeHttpClient layer=layerNodeHttp
effect/Arbitrary make=test.arbitraryOf
effect/Effect iterate=test.iterate locally=provideService
effect/Order reverse=flip
effect/DateTime zoneUnsafeMakeNamed=zoneMakeNamedUnsafe unsafeMakeZoned=makeZonedUnsafe
effect/Exit flatMap=test.flatMapExit flatten=test.flattenExit getOrElse=test.getOrElseExit
effect/Stream provideLayer=provide repeatEffectChunk=test.repeatChunk
effect/Schema Negative=test.Negative NonPositive=test.NonPositive BooleanFromString=test.BooleanFromString
effect/Queue takeAll=facade.takeAll
@effect/experimental/Persistence layerMemory=layerBackingMemory
effect/TestClock adjust=test.adjust
@effect/platform/HttpRouter empty=test.emptyRouter get=test.getRoute post=test.postRoute all=test.allRoutes
effect/Utils isGenerator=isGeneratorFunction
@effect/ai/LanguageModel Service=LanguageModel
@effect/ai/EmbeddingModel Service=EmbeddingModel
@effect/ai/Tool Requirements=HandlerServices
effect/Metric histogram=test.histogram summary=test.summary
`

export const names = Object.fromEntries(
  renamed
    .trim()
    .split("\n")
    .flatMap((line) => {
      const [module, ...pairs] = line.split(/\s+/)
      return pairs.map((pair) => {
        const [old, now] = pair.split("=")
        return [`${module}.${old}`, now]
      })
    })
)

/** The same for properties and methods of values. */
export const members = {
  "effect/Either.Right#right": "success",
  "effect/Either.Left#left": "failure",
  "effect/Clock.Clock#unsafeCurrentTimeMillis": "currentTimeMillisUnsafe",
  "effect/Clock.Clock#unsafeCurrentTimeNanos": "currentTimeNanosUnsafe",
  "effect/Effect.Latch#unsafeOpen": "openUnsafe",
  "effect/Effect.Latch#unsafeClose": "closeUnsafe",
  "effect/Metric.Metric#unsafeUpdate": "updateUnsafe",
  "effect/Metric.Metric#unsafeModify": "modifyUnsafe",
  "effect/Metric.Metric#unsafeValue": "valueUnsafe",
  // The id of a fiber is a number.
  "effect/FiberId.Runtime#id": (node, { emit }) => emit(node.expression),
  "effect/ManagedRuntime.ManagedRuntime#runtime": "context",
  "effect/Fiber.RuntimeFiber#currentContext": "context",
  "effect/Fiber.RuntimeFiber#currentDefaultServices": "context",
  "effect/Fiber.RuntimeFiber#getFiberRef": "getRef",
  "effect/Fiber.RuntimeFiber#currentTracer": "cache.tracer",
  "effect/Fiber.RuntimeFiber#currentSpan": "cache.span",
  "effect/Context.Context#unsafeMap": "mapUnsafe",
  // Types that have other names, or none that is exported: their members are the same.
  ...Object.fromEntries(
    [
      "@effect/ai/LanguageModel.ProviderOptions#type",
      "@effect/ai/LanguageModel.ToolChoice#mode",
      "@effect/ai/LanguageModel.ToolChoice#tool",
      "@effect/platform/HttpRouter.RouteContext#params",
      "@effect/platform/HttpServer.HttpServer#address",
      "@effect/platform/HttpServer.HttpServer#serve",
      "@effect/platform/HttpServer.TcpAddress#port",
      "@effect/platform/HttpServer.UnixAddress#_tag",
      "effect/Logger.Logger.Options#annotations",
      "effect/ParseResult.ParseResultFormatter#formatErrorSync",
      "effect/ParseResult.ParseResultFormatter#formatIssueSync",
      "effect/Tracer.SpanStatus#endTime",
      "effect/Tracer.SpanStatus#exit"
    ].map((key) => [key, key.slice(key.lastIndexOf("#") + 1)])
  )
}

/** Members that the sources must not use, and why. */
export const refused = [
  [
    /^effect\/Cause\.(Empty|Fail|Die|Interrupt|Sequential|Parallel)#(?!pipe$)/,
    "a cause is no tree in Effect 4: use the functions of Cause"
  ],
  [
    /^effect\/(PubSub|Queue|SubscriptionRef)\.\w+#(?!(pipe|changes|unsafeOffer)$)/,
    "it has no methods in Effect 4: use the functions of its module"
  ],
  [
    /^@effect\/platform\/(Error|HttpClientError)\.\w+#(reason|_tag)$/,
    "the errors of the platform have another form in Effect 4: use src/internal/platformErrors.ts"
  ]
]

/** A shape of a call that a rule does not know: the build reports it. */
const unless = (isKnown, shape) => {
  if (!isKnown) throw new Error(shape)
}

/** The parts of a call: the text of what is called before its last name, and those of the arguments. */
const argumentsOf = (node, { emit }) => node.arguments.map(emit)

/** A method of a value as a function of a module: `queue.unsafeOffer(x)` as `Queue.offerUnsafe(queue, x)`. */
const asFunction =
  (module, name) =>
  (node, { emit, nameOf }) =>
    `${nameOf(module, false)}.${name}(${[node.expression.expression, ...node.arguments].map(emit).join(", ")})`

/** A property of a value as a function of a module: `ref.changes` as `SubscriptionRef.changes(ref)`. */
const propertyAsFunction =
  (module, name) =>
  (node, { emit, nameOf }) =>
    `${nameOf(module, false)}.${name}(${emit(node.expression)})`

Object.assign(members, {
  "effect/SubscriptionRef.SubscriptionRef#changes": propertyAsFunction("effect/SubscriptionRef", "changes"),
  "effect/Mailbox.ReadonlyMailbox#take": propertyAsFunction("effect/Queue", "take"),
  "effect/Mailbox.ReadonlyMailbox#takeAll": propertyAsFunction("effect/Queue", "takeAll"),
  "effect/Mailbox.ReadonlyMailbox#await": propertyAsFunction("effect/Queue", "await"),
  "effect/Mailbox.Mailbox#end": propertyAsFunction("facade", "endMailbox"),
  "effect/Mailbox.Mailbox#shutdown": propertyAsFunction("facade", "shutdownMailbox"),
  "effect/Effect.Latch#await": propertyAsFunction("facade", "awaitLatch"),
  "effect/Fiber.Fiber#await": propertyAsFunction("effect/Fiber", "await"),
  "effect/Fiber.Fiber#inheritAll": (_, { nameOf }) => `${nameOf("effect/Effect", false)}.void`
})

const schema = (tools, inType = false) => tools.nameOf("effect/Schema", inType)

/** The texts of the arguments of a filter such as `Schema.greaterThan(0, annotations)`. */
const filter =
  (name, ...fixed) =>
  (node, tools) => {
    const piped = node.arguments[0] !== undefined && isSchema(node.arguments[0], tools)
    const given = (piped ? node.arguments.slice(1) : [...node.arguments]).map(tools.emit)
    const check = `${schema(tools)}.${name}(${[...fixed, ...given].join(", ")})`
    return piped ? `${tools.emit(node.arguments[0])}.check(${check})` : `${schema(tools)}.check(${check})`
  }

const isSchema = (node, { checker }) => {
  const type = checker.getTypeAtLocation(node)
  return type.getProperty("ast") !== undefined && type.getProperty("annotations") !== undefined
}

const asArray = (name) => (node, tools) => {
  const given = node.arguments
  const types = node.typeArguments === undefined ? "" : `<${node.typeArguments.map(tools.emit).join(", ")}>`
  if (given.length === 1 && ts.isSpreadElement(given[0]))
    return `${schema(tools)}.${name}${types}(${tools.emit(given[0].expression)})`
  return `${schema(tools)}.${name}${types}([${given.map(tools.emit).join(", ")}])`
}

const property = (object, name) => {
  unless(object !== undefined && ts.isObjectLiteralExpression(object), "its options are not written in the call")
  const found = object.properties.find((at) => at.name?.getText() === name)
  return found === undefined ? undefined : (found.initializer ?? found.name)
}

/** Calls whose arguments changed. */
export const calls = {
  "effect/Schema.Union": asArray("Union"),
  "effect/Schema.Tuple": (node, tools) => {
    const [elements, ...rest] = node.arguments
    if (elements === undefined || !ts.isArrayLiteralExpression(elements)) return asArray("Tuple")(node, tools)
    return `${schema(tools)}.TupleWithRest(${schema(tools)}.Tuple(${tools.emit(elements)}), [${rest.map(tools.emit).join(", ")}])`
  },
  "effect/Schema.Literal": (node, tools) => {
    const [first] = node.arguments
    if (node.arguments.length === 1 && first.kind === ts.SyntaxKind.NullKeyword) return `${schema(tools)}.Null`
    if (node.arguments.length === 1 && !ts.isSpreadElement(first)) return undefined
    return asArray("Literals")(node, tools)
  },
  "effect/Schema.Record": (node, tools) => {
    const [first] = node.arguments
    return `${schema(tools)}.Record(${tools.emit(property(first, "key"))}, ${tools.emit(property(first, "value"))})`
  },
  "effect/Schema.Struct": (node, tools) => {
    const keys = encodedKeys(node)
    if (keys.length > 0)
      return `${tools.emitChildren(node)}.pipe(${schema(tools)}.encodeKeys({ ${keys.map(([own, encoded]) => `${own}: ${encoded}`).join(", ")} }))`
    const [first, ...rest] = node.arguments.map(tools.emit)
    return rest.length === 0
      ? undefined
      : `${schema(tools)}.StructWithRest(${schema(tools)}.Struct(${first}), [${rest.join(", ")}])`
  },
  "effect/Schema.optionalWith": (node, tools) => {
    const [self, options] = node.arguments
    const text = options.getText().replace(/\s/g, "")
    if (text === "{exact:true}") return `${schema(tools)}.optionalKey(${tools.emit(self)})`
    const fallback = property(options, "default")
    const isExact = property(options, "exact") !== undefined
    if (fallback !== undefined && options.properties.length === (isExact ? 2 : 1)) {
      const value = ts.isArrowFunction(fallback) ? tools.emit(fallback.body) : `${tools.emit(fallback)}()`
      return `${tools.emit(self)}.pipe(${schema(tools)}.withDecodingDefaultType${isExact ? "Key" : ""}(${tools.nameOf("effect/Effect", false)}.sync(() => ${value})), ${schema(tools)}.withConstructorDefault(${tools.nameOf("effect/Effect", false)}.sync(() => ${value})))`
    }
    return undefined
  },
  "effect/Schema.parseJson": (node, tools) =>
    node.arguments.length === 0
      ? `${schema(tools)}.fromJsonString(${schema(tools)}.Unknown)`
      : `${schema(tools)}.fromJsonString(${argumentsOf(node, tools).join(", ")})`,
  "effect/Schema.Exit": (node, tools) => {
    const [first] = node.arguments
    return `${schema(tools)}.Exit(${["success", "failure", "defect"].map((name) => tools.emit(property(first, name))).join(", ")})`
  },
  // Faults name the value, as in Effect 3.
  ...Object.fromEntries(
    [
      "decodeUnknown",
      "decode",
      "decodeUnknownEither",
      "decodeEither",
      "decodeUnknownSync",
      "decodeSync",
      "encode",
      "encodeUnknown"
    ].map((name) => [
      `effect/Schema.${name}`,
      (node, tools) => {
        const [own, options] = argumentsOf(node, tools)
        const given = options === undefined ? "{ reportInput: true }" : `{ ...${options}, reportInput: true }`
        return `${tools.emit(node.expression)}(${own}, ${given})`
      }
    ])
  ),
  "effect/Schema.positive": filter("isGreaterThan", "0"),
  "effect/Schema.nonNegative": filter("isGreaterThanOrEqualTo", "0"),
  "effect/Schema.greaterThan": filter("isGreaterThan"),
  "effect/Schema.greaterThanOrEqualTo": filter("isGreaterThanOrEqualTo"),
  "effect/Schema.lessThan": filter("isLessThan"),
  "effect/Schema.lessThanOrEqualTo": filter("isLessThanOrEqualTo"),
  "effect/Schema.finite": filter("isFinite"),
  "effect/Schema.int": filter("isInt"),
  "effect/Schema.startsWith": filter("isStartingWith"),
  "effect/Schema.endsWith": filter("isEndingWith"),
  "effect/Schema.includes": filter("isIncluding"),
  "effect/Schema.length": (node, tools) => {
    const [count, ...rest] = node.arguments
    const limits = ts.isObjectLiteralExpression(count)
      ? [property(count, "min"), property(count, "max")].map(tools.emit)
      : [tools.emit(count), tools.emit(count)]
    return `${schema(tools)}.check(${schema(tools)}.isBetweenLength(${[...limits, ...rest.map(tools.emit)].join(", ")}))`
  },
  "effect/Schema.itemsCount": (node, tools) => {
    const [count, ...rest] = argumentsOf(node, tools)
    return `${schema(tools)}.check(${schema(tools)}.isBetweenLength(${[count, count, ...rest].join(", ")}))`
  },
  "effect/Schema.propertySignature": (node, tools) => tools.emit(node.arguments[0]),
  "effect/Schema.multipleOf": filter("isMultipleOf"),
  "effect/Schema.optionalElement": (node, tools) =>
    `${schema(tools)}.optionalKey(${argumentsOf(node, tools).join(", ")})`,
  "effect/Schema.pattern": filter("isPattern"),
  "effect/Schema.minItems": filter("isMinLength"),
  "effect/Schema.maxItems": filter("isMaxLength"),
  "effect/Schema.minLength": filter("isMinLength"),
  "effect/Schema.maxLength": filter("isMaxLength"),
  "effect/Schema.nonEmptyString": filter("isNonEmpty"),
  "effect/Schema.filter": filter("makeFilter"),
  "effect/Schema.between": (node, tools) => {
    const [minimum, maximum, ...rest] = argumentsOf(node, tools)
    return `${schema(tools)}.check(${schema(tools)}.isBetween(${[`{ minimum: ${minimum}, maximum: ${maximum} }`, ...rest].join(", ")}))`
  },
  "effect/Context.get": (node, tools) =>
    node.arguments[0].getText() === "DefaultServices.liveServices"
      ? `${tools.emit(node.arguments[1])}.defaultValue()`
      : undefined,
  // A change of the context of a fiber.
  "effect/FiberRef.modify": (node, tools) =>
    `${tools.nameOf("facade", false)}.modifyContext(${tools.emit(node.arguments[1])})`,
  "effect/FiberRef.update": (node, tools) =>
    `${tools.nameOf("facade", false)}.updateContext(${tools.emit(node.arguments[1])})`,
  "effect/FiberRef.set": (node, tools) =>
    `${tools.nameOf("facade", false)}.setContext(${tools.emit(node.arguments[1])})`,
  "effect/FiberRef.getWith": (node, tools) =>
    isMetricLabels(node.arguments[0])
      ? `${tools.nameOf("effect/Effect", false)}.flatMap(${tools.nameOf("effect/Effect", false)}.context<never>(), ${tools.emit(node.arguments[1])})`
      : undefined,
  "effect/Fiber.RuntimeFiber#getFiberRef": (node, tools) =>
    isMetricLabels(node.arguments[0]) ? `${tools.emit(node.expression.expression)}.context` : undefined,
  "effect/Effect.reduce": (node, tools) => lazily(node, node.arguments.length - 2, tools),
  "effect/Stream.runFold": (node, tools) => lazily(node, node.arguments.length - 2, tools),
  "effect/Stream.runFoldEffect": (node, tools) => lazily(node, node.arguments.length - 2, tools),
  "effect/Stream.filterMap": (node, tools) =>
    `${tools.nameOf("facade", false)}.filterMapStream(${argumentsOf(node, tools).join(", ")})`,
  "@effect/platform/KeyValueStore.KeyValueStore#get": (node, tools) =>
    `${tools.nameOf("effect/Effect", false)}.map(${tools.emitChildren(node)}, ${tools.nameOf("effect/Option", false)}.fromUndefinedOr)`,
  "effect/Schema.transform": (node, tools) => {
    const options = node.arguments.at(-1)
    const given = node.arguments.slice(0, -1).map(tools.emit)
    const strict = property(options, "strict") === undefined
    const transformation = `${tools.nameOf("effect/SchemaTransformation", false)}.transform({ decode: ${tools.emit(property(options, "decode"))}, encode: ${tools.emit(property(options, "encode"))} })`
    if (!strict) return undefined
    return given.length === 2
      ? `${given[0]}.pipe(${schema(tools)}.decodeTo(${given[1]}, ${transformation}))`
      : `${schema(tools)}.decodeTo(${given[0]}, ${transformation})`
  },
  "effect/Schema.compose": (node, tools) => {
    const schemas = node.arguments.filter((each) => isSchema(each, tools)).map(tools.emit)
    const isLoose = schemas.length < node.arguments.length
    const passthrough = isLoose
      ? `, ${tools.nameOf("effect/SchemaTransformation", false)}.passthrough({ strict: false })`
      : ""
    const decoded = `${schema(tools)}.decodeTo(${schemas.at(-1)}${passthrough})`
    return schemas.length === 2 ? `${schemas[0]}.pipe(${decoded})` : decoded
  },
  "effect/Schema.extend": (node, tools) => {
    unless(node.arguments.length > 1, "it has one argument")
    const fields = argumentsOf(node, tools).map((struct) => `...${struct}.fields`)
    return `${schema(tools)}.Struct({ ${fields.join(", ")} })`
  },
  "effect/Schema.transformOrFail": (node, tools) => {
    const options = node.arguments.at(-1)
    unless(node.arguments.length === 3, "it has not three arguments")
    const [from, to] = node.arguments.map(tools.emit)
    const getter = (name) =>
      `${tools.nameOf("effect/SchemaGetter", false)}.transformEffect(${tools.emit(property(options, name))})`
    const transformation = `{ decode: ${getter("decode")}, encode: ${getter("encode")} }`
    return `${from}.pipe(${schema(tools)}.decodeTo(${to}, ${transformation}))`
  },
  // The message of a configuration error names its variable.
  "effect/Config.mapOrFail": (node, tools) => {
    unless(node.arguments.length === 2, "it has one argument")
    const [config] = node.arguments
    const variable = ts.isCallExpression(config) ? config.arguments[0] : undefined
    const given = [...argumentsOf(node, tools), ...(variable === undefined ? [] : [tools.emit(variable)])]
    return `${tools.nameOf("facade", false)}.configMapOrFail(${given.join(", ")})`
  },
  // Tools have schemas for their fields.
  "@effect/ai/Tool.make": (node, tools) => withFieldsAsStructs(node, tools),
  "@effect/ai/Tool.providerDefined": (node, tools) => withFieldsAsStructs(node, tools),
  "effect/Struct.omit": (node, tools) => listed(node, tools, "omit"),
  "effect/Struct.pick": (node, tools) => listed(node, tools, "pick"),
  "effect/Schema.Struct#omit": (node, tools) => fieldsOf(node, tools, "omit"),
  "effect/Schema.Struct#pick": (node, tools) => fieldsOf(node, tools, "pick"),
  "effect/Effect.withRuntimeFlagsPatch": (node, tools) =>
    /disable\(RuntimeFlags\.RuntimeMetrics\)/.test(node.getText())
      ? `${tools.nameOf("effect/Metric", false)}.disableRuntimeMetrics`
      : undefined,
  "effect/Schema.TemplateLiteral": asArray("TemplateLiteral"),
  "effect/Queue.Enqueue#unsafeOffer": (node, tools) => {
    const type = tools.checker.getTypeAtLocation(node.expression.expression)
    const isPubSub = type.getProperty("publish") !== undefined
    return isPubSub
      ? asFunction("effect/PubSub", "publishUnsafe")(node, tools)
      : asFunction("effect/Queue", "offerUnsafe")(node, tools)
  },
  "effect/Metric.Metric#unsafeUpdate": (node, tools) =>
    node.arguments[1].getText() === "[]"
      ? `${tools.emit(node.expression)}(${tools.emit(node.arguments[0])}, ${tools.nameOf("effect/Context", false)}.empty())`
      : undefined,
  "effect/PubSub.PubSub#publish": asFunction("effect/PubSub", "publish"),
  "effect/Mailbox.Mailbox#offer": asFunction("facade", "offerMailbox"),
  "effect/Mailbox.Mailbox#offerAll": asFunction("effect/Queue", "offerAll"),
  "effect/Mailbox.Mailbox#unsafeOffer": asFunction("effect/Queue", "offerUnsafe"),
  "effect/Mailbox.Mailbox#fail": asFunction("effect/Queue", "fail"),
  "effect/Mailbox.Mailbox#failCause": asFunction("effect/Queue", "failCause"),
  "effect/Mailbox.Mailbox#unsafeDone": asFunction("facade", "doneMailboxUnsafe"),
  "effect/Fiber.RuntimeFiber#id": (node, { emit }) => emit(node.expression),
  "effect/Fiber.RuntimeFiber#unsafeInterruptAsFork": (node, { emit }) =>
    `${emit(node.expression.expression)}.interruptUnsafe()`,
  "effect/Fiber.RuntimeFiber#unsafePoll": (node, { emit, nameOf }) =>
    `${nameOf("facade", false)}.pollFiber(${emit(node.expression.expression)})`,
  "effect/Effect.yieldNow": (node, { nameOf }) => {
    unless(node.arguments.length === 0, "it has a priority")
    return `${nameOf("effect/Effect", false)}.yieldNow`
  },
  "effect/Effect.logWithLevel": (node, tools) => {
    const [level, ...messages] = argumentsOf(node, tools)
    return `${tools.nameOf("effect/Effect", false)}.logWithLevel(${level})(${messages.join(", ")})`
  },
  "effect/Exit.interrupt": (node, { nameOf, emit }) =>
    `${nameOf("effect/Exit", false)}.interrupt(${isNone(node.arguments[0]) ? "" : node.arguments.map(emit)})`,
  "effect/Cause.interrupt": (node, { nameOf, emit }) =>
    `${nameOf("effect/Cause", false)}.interrupt(${isNone(node.arguments[0]) ? "" : node.arguments.map(emit)})`,
  "effect/Deferred.unsafeMake": (_, { nameOf }) => `${nameOf("effect/Deferred", false)}.makeUnsafe()`,
  "effect/Order.tuple": (node, tools) =>
    `${tools.nameOf("effect/Order", false)}.Tuple([${argumentsOf(node, tools).join(", ")}])`,
  // The other provider is lazy in Effect 3.
  "effect/ConfigProvider.orElse": (node, tools) => {
    const other = node.arguments.at(-1)
    unless(ts.isArrowFunction(other), "the other provider is not written as a function")
    const given = [...node.arguments.slice(0, -1), other.body].map(tools.emit)
    return `${tools.nameOf("effect/ConfigProvider", false)}.orElse(${given.join(", ")})`
  },
  // References whose collections are those of JavaScript now.
  "effect/Effect.locally": (node, tools) => {
    const given = argumentsOf(node, tools)
    const convert = { "FiberRef.currentTracerSpanLinks": "Array.from", "FiberRef.currentLoggers": "new Set" }[
      node.arguments.at(-2).getText()
    ]
    if (convert === undefined) return undefined
    given.push(`${convert}(${given.pop()})`)
    return `${tools.nameOf("effect/Effect", false)}.provideService(${given.join(", ")})`
  },
  "effect/Data.tuple": (node, tools) => `[${argumentsOf(node, tools).join(", ")}] as const`
}

const isFromKey = (node) => ts.isCallExpression(node) && node.expression.getText() === "Schema.fromKey"

/** The fields of a struct that have another name in its encoded form. */
const encodedKeys = (node) => {
  const [fields] = node.arguments
  if (fields === undefined || !ts.isObjectLiteralExpression(fields)) return []
  return fields.properties.flatMap((property) => {
    const value = property.initializer
    const last = value !== undefined && ts.isCallExpression(value) ? value.arguments.at(-1) : undefined
    return last !== undefined && isFromKey(last) ? [[property.name.getText(), last.arguments[0].getText()]] : []
  })
}

/** `Struct.omit(value, "a", "b")` as `Struct.omit(value, ["a", "b"])`. */
const listed = (node, tools, name) => {
  unless(node.arguments.length > 1 && !ts.isStringLiteral(node.arguments[0]), "it is not given the value")
  const [value, ...names] = argumentsOf(node, tools)
  return `${tools.nameOf("effect/Struct", false)}.${name}(${value}, [${names.join(", ")}])`
}

/** `schema.omit("a")` as a change of its fields. */
const fieldsOf = (node, tools, name) =>
  `${tools.emit(node.expression.expression)}.mapFields(${tools.nameOf("effect/Struct", false)}.${name}([${argumentsOf(node, tools).join(", ")}]))`

/** `{ parameters: { city: Schema.String } }` of a tool as `{ parameters: Schema.Struct({ city: Schema.String }) }`. */
const withFieldsAsStructs = (node, tools) => {
  const options = node.arguments.at(-1)
  if (options === undefined || !ts.isObjectLiteralExpression(options)) return undefined
  const properties = options.properties.map((at) => {
    const name = at.name?.getText()
    if (name === "toolkitName") return `customName: ${tools.emit(at.initializer)}`
    const isFields = /^(parameters|args)$/.test(name) && ts.isObjectLiteralExpression(at.initializer)
    return isFields ? `${name}: ${schema(tools)}.Struct(${tools.emit(at.initializer)})` : tools.emit(at)
  })
  const rest = node.arguments.slice(0, -1).map(tools.emit)
  return `${tools.emit(node.expression)}(${[...rest, `{ ${properties.join(", ")} }`].join(", ")})`
}

const isMetricLabels = (node) => node.getText() === "FiberRef.currentMetricLabels"

/** A call whose argument at `index` is a function of nothing now. */
const lazily = (node, index, tools) => {
  const given = argumentsOf(node, tools)
  given[index] = `() => ${ts.isObjectLiteralExpression(node.arguments[index]) ? `(${given[index]})` : given[index]}`
  return `${tools.emit(node.expression)}(${given.join(", ")})`
}

const isNone = (node) => node !== undefined && node.getText() === "FiberId.none"

const level = { Warning: "Warn" }

const levels = ["Info", "Warning", "Error", "Debug", "None", "All", "Trace", "Fatal"]

for (const name of levels)
  members[`effect/LogLevel.${name}#label`] = propertyAsFunction("local:test/support/effect3.js", "labelOf")

for (const name of ["Info", "Warning", "Error", "Debug", "None", "All", "Trace", "Fatal"])
  names[`effect/LogLevel.${name}`] = () => JSON.stringify(level[name] ?? name)
names["effect/LogLevel.LogLevel"] = (_, { nameOf }) => `${nameOf("effect/LogLevel", true)}.LogLevel`
names["effect/Schema.Schema.AnyNoContext"] = (_, tools) => `${schema(tools, true)}.Codec<unknown, unknown>`
names["effect/Schema.Defect"] = (_, tools) => `${schema(tools)}.Defect()`
names["effect/Schema.Positive"] = (_, tools) => `${schema(tools)}.Number.check(${schema(tools)}.isGreaterThan(0))`
names["effect/Schema.NonEmptyTrimmedString"] = (_, tools) =>
  `${schema(tools)}.Trimmed.check(${schema(tools)}.isNonEmpty())`
for (const name of ["Lowercased", "Capitalized", "Uncapitalized"])
  names[`effect/Schema.${name}`] = (_, tools) => `${schema(tools)}.String.check(${schema(tools)}.is${name}())`
names["effect/Schema.NonNegativeInt"] = (_, tools) =>
  `${schema(tools)}.Int.check(${schema(tools)}.isGreaterThanOrEqualTo(0))`
names["effect/Schema.NonNegative"] = (_, tools) =>
  `${schema(tools)}.Number.check(${schema(tools)}.isGreaterThanOrEqualTo(0))`
// The service without its module. Tests take it from there, and so show that it is the same.
names["@effect/platform/KeyValueStore.KeyValueStore"] = (_, { inType, nameOf, source }) =>
  !inType && /\/src\//.test(source.fileName) ? `${nameOf("facade", false)}.KeyValueStore` : undefined
names["effect/FiberId.none"] = () => "undefined"
names["effect/FiberId.Runtime"] = () => "number"
names["effect/FiberId.FiberId"] = () => "number"

/** Rewrites of other nodes, by the names of their kinds. */
export const nodes = {
  CallExpression: (node, tools) => {
    const annotated =
      ts.isPropertyAccessExpression(node.expression) && node.expression.name.text === "annotations"
        ? node.expression.expression
        : undefined
    if (
      annotated !== undefined &&
      ts.isCallExpression(annotated) &&
      annotated.expression.getText() === "Schema.propertySignature"
    )
      return `${tools.emit(annotated.arguments[0])}.annotateKey(${argumentsOf(node, tools).join(", ")})`
    // The key is written by the struct.
    if (node.arguments.length === 1 && isFromKey(node.arguments[0]) && ts.isPropertyAccessExpression(node.expression))
      return tools.emit(node.expression.expression)
    // class X extends Context.Tag("id")<X, Shape>() {}
    const inner = node.expression
    if (ts.isCallExpression(inner) || ts.isExpressionWithTypeArguments(inner)) {
      const called = ts.isCallExpression(inner) ? inner : inner.expression
      const callee =
        ts.isCallExpression(called) && ts.isPropertyAccessExpression(called.expression) ? called.expression : undefined
      if (callee !== undefined && ts.isIdentifier(callee.expression) && callee.expression.text === "Context") {
        if (callee.name.text === "Tag") {
          const id = tools.emit(called.arguments[0])
          return `${tools.nameOf("effect/Context", false)}.Service<${(node.typeArguments ?? inner.typeArguments).map(tools.emit).join(", ")}>()(${id})`
        }
        if (callee.name.text === "Reference") {
          const shape = node.typeArguments ?? []
          return `${tools.nameOf("effect/Context", false)}.Reference${shape.length > 1 ? `<${tools.emit(shape[1])}>` : ""}(${argumentsOf(node, tools).join(", ")})`
        }
      }
    }
    return undefined
  },
  PropertyAccessExpression: (node, tools) => {
    // A method of any schema.
    if (
      node.name.text === "annotations" &&
      ts.isCallExpression(node.parent) &&
      node.parent.expression === node &&
      isSchema(node.expression, tools)
    )
      return `${tools.emit(node.expression)}.annotate`
    return undefined
  },
  TypeReference: (node, tools) => {
    const name = node.typeName.getText()
    if (node.getText() === "ReadonlyArray<MetricLabel.MetricLabel>")
      return `${tools.nameOf("effect/Context", true)}.Context<never>`
    if (isReferenceClass(node, tools)) return "never"
    if (name === "Schedule.Schedule" && node.typeArguments !== undefined) {
      // Schedules can fail, such as one of a text that is no cron expression.
      const [out, input = "unknown", context = "never"] = node.typeArguments.map(tools.emit)
      return `${tools.nameOf("effect/Schedule", true)}.Schedule<${out}, ${input}, unknown, ${context}>`
    }
    if (
      name === "HttpServer.HttpServer" &&
      !/^(Layer\.Layer|Effect\.Effect)$/.test(
        node.parent.typeName?.getText() ?? node.parent.parent.typeName?.getText() ?? ""
      )
    )
      return `${tools.nameOf("effect/http/HttpServer", true)}.HttpServer["Service"]`
    if (name === "Mailbox.Mailbox" && node.typeArguments !== undefined) {
      const [item, error = "never"] = node.typeArguments.map(tools.emit)
      return `${tools.nameOf("effect/Queue", true)}.Queue<${item}, ${error} | ${tools.nameOf("effect/Cause", true)}.Done>`
    }
    if (/^MetricKey\.MetricKey\.(Counter|Gauge)$/.test(name))
      return `${tools.nameOf("facade", true)}.${node.typeName.right.text}Key`
    if (
      name === "Schema.Schema" &&
      tools.homeOf(tools.resolved(tools.checker.getSymbolAtLocation(node.typeName)))?.module === "effect/Schema"
    ) {
      const given = (node.typeArguments ?? []).map(tools.emit)
      if (given.length === 0) return `${schema(tools, true)}.Top`
      if (given.length === 1) given.push(given[0])
      if (given.length === 3) given.push(given[2])
      return `${schema(tools, true)}.Codec<${given.join(", ")}>`
    }
    return undefined
  },
  StringLiteral: (node, tools) => {
    const renamedLiteral = {
      __proto__: null,
      ParseError: "SchemaError",
      TcpAddress: "InetAddressV4",
      NoSuchElementException: "NoSuchElementError",
      TimeoutException: "TimeoutError"
    }[node.text]
    if (renamedLiteral !== undefined && !ts.isImportDeclaration(node.parent)) return JSON.stringify(renamedLiteral)
    const renamedTag = { __proto__: null, Left: "Failure", Right: "Success" }[node.text]
    const isExpected = ts.isPropertyAssignment(node.parent) && isExpectedEither(node.parent.parent, tools)
    return renamedTag !== undefined && (isExpected || isTagOfEither(comparedWith(node), tools))
      ? JSON.stringify(renamedTag)
      : undefined
  }
}

/** Whether an object is what a test expects of an Either: `{ _tag: "Left", left }`. */
const isExpectedEither = (object, tools) => {
  if (!ts.isObjectLiteralExpression(object) || !ts.isCallExpression(object.parent)) return false
  const expected = comparedWith(object)
  return expected !== undefined && kindOf(tools.checker.getTypeAtLocation(expected), tools) === "Either"
}

/** What a literal is compared with: in an operator, a case, or an expectation of a test. */
const comparedWith = (node) => {
  const { parent } = node
  if (ts.isBinaryExpression(parent)) return parent.left === node ? parent.right : parent.left
  if (ts.isCaseClause(parent)) return parent.parent.parent.expression
  if (!ts.isCallExpression(parent) || !ts.isPropertyAccessExpression(parent.expression)) return undefined
  let expectation = parent.expression.expression
  while (ts.isPropertyAccessExpression(expectation)) expectation = expectation.expression
  return ts.isCallExpression(expectation) && expectation.expression.getText() === "expect"
    ? expectation.arguments[0]
    : undefined
}

/** Whether an expression can be `"Left"` or `"Right"` and nothing else. */
const isTagOfEither = (node, { checker }) => {
  if (node === undefined) return false
  const type = checker.getNonNullableType(checker.getTypeAtLocation(node))
  const parts = type.isUnion() ? type.types : [type]
  return parts.every((part) => part.isStringLiteral() && /^(Left|Right)$/.test(part.value))
}

/** A class of `Context.Reference` stands for a service that is always there, which Effect 4 writes as none. */
const isReferenceClass = (node, { checker, resolved }) => {
  const declaration = resolved(checker.getSymbolAtLocation(node.typeName))?.declarations?.find(ts.isClassDeclaration)
  const heritage = declaration?.heritageClauses?.[0]?.types[0]?.expression.getText() ?? ""
  return heritage.startsWith("Context.Reference")
}

/** `yield*` of an Either or an Option within `Effect.gen`. */
nodes.YieldExpression = (node, tools) => {
  if (node.asteriskToken === undefined || node.expression === undefined) return undefined
  const kind = kindOf(tools.checker.getTypeAtLocation(node.expression), tools)
  if (kind === undefined) return undefined
  let at = node.parent
  while (!ts.isFunctionExpression(at) && !ts.isMethodDeclaration(at) && !ts.isFunctionDeclaration(at)) at = at.parent
  const caller = ts.isCallExpression(at.parent) ? at.parent.expression.getText() : ""
  if (/^(Either|Option)\.gen$/.test(caller)) return undefined
  return `yield* ${asEffect(kind, tools.emit(node.expression), node, tools)}`
}

/** A property of a clock that a program makes. Time that does not go back is monotonic, too. */
const ofClock = (node) => {
  switch (node.name.getText()) {
    case "unsafeCurrentTimeMillis":
      return (value) => `currentTimeMillisUnsafe: ${value}`
    case "unsafeCurrentTimeNanos":
      return (value) => `currentTimeNanosUnsafe: ${value}, monotonicTimeNanosUnsafe: ${value}`
    case "currentTimeNanos":
      return (value) => `currentTimeNanos: ${value}, monotonicTimeNanos: ${value}`
  }
}

/** `{ onLeft, onRight }` of `Either.match` and its kind. */
nodes.PropertyAssignment = (node, tools) => {
  if (isExpectedEither(node.parent, tools)) {
    const side = { __proto__: null, left: "failure", right: "success" }[node.name.getText()]
    if (side !== undefined) return `${side}: ${tools.emit(node.initializer)}`
  }
  const { checker, emit } = tools
  if (node.name.getText() === "[Clock.ClockTypeId]") return "...{}"
  const clock = ofClock(node, checker)
  if (clock !== undefined) return clock(emit(node.initializer))
  const now = { __proto__: null, onLeft: "onFailure", onRight: "onSuccess" }[node.name.getText()]
  // Spans of Effect 4 are cheap with the stack of their callers.
  if (node.getText() === "captureStackTrace: false") return "...{}"
  // An option of `Otlp`.
  if (node.getText() === "replaceLogger: Logger.defaultLogger") return "loggerMergeWithExisting: false"
  return now === undefined ? undefined : `${now}: ${emit(node.initializer)}`
}
nodes.ShorthandPropertyAssignment = (node, { checker }) => {
  const clock = ofClock(node, checker)
  if (clock !== undefined) return clock(node.name.text)
  const now = { __proto__: null, onLeft: "onFailure", onRight: "onSuccess" }[node.name.text]
  return now === undefined ? undefined : `${now}: ${node.name.text}`
}
nodes.BindingElement = (node, tools) => {
  const key = (node.propertyName ?? node.name).getText()
  if (!ts.isObjectBindingPattern(node.parent) || node.dotDotDotToken !== undefined) return undefined
  const home = tools.homeOf(tools.checker.getTypeAtLocation(node.parent).getProperty(key))
  const now = home === undefined ? undefined : members[`${home.module}.${home.path}`]
  if (typeof now !== "string" || now.includes(".")) return undefined
  return `${now}: ${tools.emit(node.name)}${node.initializer === undefined ? "" : ` = ${tools.emit(node.initializer)}`}`
}

/** The effects that values stand for in 3 and not in 4. */
const formerEffects = {
  Either: { call: ["effect/Effect", "fromResult"] },
  Option: { call: ["effect/Effect", "fromOption"] },
  Fiber: { call: ["effect/Fiber", "join"], module: "effect/Fiber", type: /^(Runtime)?Fiber$/ },
  Deferred: { call: ["facade", "awaitDeferred"], module: "effect/Deferred", type: /^Deferred$/ },
  Ref: { call: ["effect/Ref", "get"], module: "effect/Ref", type: /^Ref$/ },
  SubscriptionRef: {
    call: ["effect/SubscriptionRef", "get"],
    module: "effect/SubscriptionRef",
    type: /^SubscriptionRef$/
  }
}

/** The only file that may use such a value as an Effect. */
export const effectsOf = "src/internal/asEffect.ts"

const asEffect = (kind, text, node, { file, nameOf, refuse }) => {
  if (!file.endsWith(`/${effectsOf}`))
    refuse(node, kind, `it is no Effect in Effect 4: use a function of ${effectsOf}, of Fiber, Deferred or Ref`)
  const [module, name] = formerEffects[kind].call
  return `${nameOf(module, false)}.${name}(${text})`
}

/** Values that were Effects in 3 and are none in 4: an Either or an Option where an Effect is expected. */
const kindOf = (type, { homeOf }) => {
  const parts = type.isUnion() ? type.types : [type]
  const homes = parts.map((part) => homeOf(part.symbol ?? part.aliasSymbol))
  if (parts.length > 0 && homes.every((home) => home?.module === "effect/Either" && /^(Left|Right)$/.test(home.path)))
    return "Either"
  for (const [kind, { module, type: name }] of Object.entries(formerEffects)) {
    if (module !== undefined && parts.length === 1 && homes[0]?.module === module && name.test(homes[0].path))
      return kind
  }
  if (parts.length > 0 && homes.every((home) => home?.module === "effect/Option" && /^(None|Some)$/.test(home.path)))
    return "Option"
  return undefined
}
const isEffect = (type, { homeOf }) => {
  const parts = type.isUnion() ? type.types : [type]
  return parts.some((part) => {
    const home = homeOf(part.symbol)
    return home?.module === "effect/Effect" && home.path === "Effect"
  })
}

/** A function that answers an Either where one that answers an Effect is expected. */
const wrappedFunction = (node, text, expected, tools) => {
  if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) return text
  const [wanted] = tools.checker.getNonNullableType(expected).getCallSignatures()
  if (
    wanted === undefined ||
    !isEffect(wanted.getReturnType(), tools) ||
    kindOf(wanted.getReturnType(), tools) !== undefined
  )
    return text
  const type = tools.checker.getTypeAtLocation(node)
  const [own] = type.getCallSignatures()
  const kind = own === undefined ? undefined : kindOf(own.getReturnType(), tools)
  if (kind === undefined) return text
  const parameters = own.parameters.map((_, index) => `argument${index}`).join(", ")
  return `(${parameters}) => ${asEffect(kind, `${text}(${parameters})`, node, tools)}`
}

/** Wraps an expression that must become an Effect. */
export const wrapped = (node, text, tools) => {
  if (
    !ts.isExpression(node) ||
    (ts.isIdentifier(node) && ts.isPropertyAccessExpression(node.parent) && node.parent.name === node)
  )
    return text
  const parent = node.parent
  const isArgument =
    (ts.isCallExpression(parent) && parent.arguments.includes(node)) ||
    (ts.isArrowFunction(parent) && parent.body === node) ||
    ts.isReturnStatement(parent) ||
    (ts.isConditionalExpression(parent) && parent.condition !== node) ||
    (ts.isPropertyAssignment(parent) && parent.initializer === node)
  if (!isArgument || ts.isConditionalExpression(node) || ts.isParenthesizedExpression(node)) return text
  if (ts.isCallExpression(parent) && /^(Either|Option)\./.test(parent.expression.getText())) return text
  const expected = tools.checker.getContextualType(node)
  if (expected === undefined) return text
  if (!isEffect(expected, tools)) return wrappedFunction(node, text, expected, tools)
  if ((expected.isUnion() ? expected.types : [expected]).some((part) => kindOf(part, tools) !== undefined)) return text
  const kind = kindOf(tools.checker.getTypeAtLocation(node), tools)
  if (kind === undefined) return text
  return asEffect(kind, text, node, tools)
}

/** Scripts beside the tests, which are left out. */
export const scripts = ["test/redis/chaos.ts", "test/support/busy.ts", "test/support/printMetrics.ts"]

/** What comments say in another way. */
export const comments = [
  [" Needs the optional peer dependency `@effect/ai`.", ""],
  [/@effect\/ai(?!-)/g, "effect/ai"],
  ["parameters: { city: Schema.String }", "parameters: Schema.Struct({ city: Schema.String })"]
]

/** Sources whose result is written by the build. */
export const replaced = ["src/gateway/routes/openapi/api.ts", "src/gateway/routes/openapi/openapi.ts"]
