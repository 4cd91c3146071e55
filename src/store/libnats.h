// SPDX-License-Identifier: MPL-2.0
// libnats.h - the client library of NATS, loaded when the first route asks for it:
// a daemon without such a route does not have it in memory, nor need it installed.

#ifndef ZB_LIBNATS_H
#define ZB_LIBNATS_H

#include <nats/nats.h>

// All of it that we call.
#define LIBNATS(X)                                                                                                     \
    X(nats_GetLastError)                                                                                               \
    X(nats_Open)                                                                                                       \
    X(natsStatus_GetText)                                                                                              \
    X(natsOptions_Create)                                                                                              \
    X(natsOptions_Destroy)                                                                                             \
    X(natsOptions_LoadCATrustedCertificates)                                                                           \
    X(natsOptions_LoadCertificatesChain)                                                                               \
    X(natsOptions_SetAllowReconnect)                                                                                   \
    X(natsOptions_SetExpectedHostname)                                                                                 \
    X(natsOptions_SetMaxPingsOut)                                                                                      \
    X(natsOptions_SetName)                                                                                             \
    X(natsOptions_SetPingInterval)                                                                                     \
    X(natsOptions_SetSecure)                                                                                           \
    X(natsOptions_SetTimeout)                                                                                          \
    X(natsOptions_SetURL)                                                                                              \
    X(natsOptions_SetUserCredentialsFromFiles)                                                                         \
    X(natsOptions_SetUserInfo)                                                                                         \
    X(natsOptions_SetWriteDeadline)                                                                                    \
    X(natsConnection_Close)                                                                                            \
    X(natsConnection_Connect)                                                                                          \
    X(natsConnection_Destroy)                                                                                          \
    X(natsConnection_GetLastError)                                                                                     \
    X(natsConnection_GetMaxPayload)                                                                                    \
    X(natsConnection_JetStream)                                                                                        \
    X(natsConnection_PublishMsg)                                                                                       \
    X(natsConnection_PublishRequestString)                                                                             \
    X(natsConnection_PublishString)                                                                                    \
    X(natsConnection_RequestString)                                                                                    \
    X(natsConnection_Subscribe)                                                                                        \
    X(natsInbox_Create)                                                                                                \
    X(natsInbox_Destroy)                                                                                               \
    X(natsSubscription_Destroy)                                                                                        \
    X(natsSubscription_Drain)                                                                                          \
    X(natsSubscription_SetOnCompleteCB)                                                                                \
    X(natsSubscription_SetPendingLimits)                                                                               \
    X(natsSubscription_WaitForDrainCompletion)                                                                         \
    X(natsMsg_Create)                                                                                                  \
    X(natsMsg_Destroy)                                                                                                 \
    X(natsMsg_GetData)                                                                                                 \
    X(natsMsg_GetDataLength)                                                                                           \
    X(natsMsg_GetMetaData)                                                                                             \
    X(natsMsg_GetReply)                                                                                                \
    X(natsMsg_GetSubject)                                                                                              \
    X(natsMsg_IsNoResponders)                                                                                          \
    X(natsMsgHeader_Get)                                                                                               \
    X(natsMsgHeader_Set)                                                                                               \
    X(js_AddConsumer)                                                                                                  \
    X(js_AddStream)                                                                                                    \
    X(js_DeleteConsumer)                                                                                               \
    X(js_GetConsumerInfo)                                                                                              \
    X(js_GetStreamInfo)                                                                                                \
    X(jsConsumerConfig_Init)                                                                                           \
    X(jsConsumerInfo_Destroy)                                                                                          \
    X(jsCtx_Destroy)                                                                                                   \
    X(jsMsgMetaData_Destroy)                                                                                           \
    X(jsOptions_Init)                                                                                                  \
    X(jsStreamConfig_Init)                                                                                             \
    X(jsStreamInfo_Destroy)

#define LIBNATS_MEMBER(name) __typeof__(name) *name;

typedef struct {
    LIBNATS(LIBNATS_MEMBER)
} libnats_t;

// The library, which stays loaded; NULL with the reason in WHY, which stays as well. From any thread.
const libnats_t *libnats_load(const char **why);

#endif
