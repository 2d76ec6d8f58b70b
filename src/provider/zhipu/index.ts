/**
 * Clients for Zhipu's platforms (open.bigmodel.cn and Z.ai) that sign tokens with the package `jose`, an optional peer
 * dependency.
 *
 * @since 0.1.0
 */
export * as ZhipuClient from "./ZhipuClient.js"
