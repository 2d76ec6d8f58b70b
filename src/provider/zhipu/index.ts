/**
 * Zhipu's platforms (open.bigmodel.cn and Z.ai) with tokens signed by the key, by the package `jose` (an optional peer
 * dependency).
 *
 * @since 0.1.0
 */
export * as ZhipuClient from "./ZhipuClient.js"
