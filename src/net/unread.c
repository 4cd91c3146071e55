// SPDX-License-Identifier: MPL-2.0
#include "net/unread.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ANSWER_MAX = 512 };

typedef struct {
    struct nlmsghdr head;
    struct unix_diag_req body;
} question_t;

typedef struct {
    struct nlmsghdr head;
    struct unix_diag_msg body;
    uint8_t attributes[ANSWER_MAX];
} netlink_answer_t;

static bool
find(const netlink_answer_t *answer, size_t left, uint16_t wanted, uint32_t *value)
{
    const uint8_t *at = answer->attributes;
    for (struct rtattr head; left >= sizeof head; at += RTA_ALIGN(head.rta_len), left -= RTA_ALIGN(head.rta_len)) {
        memcpy(&head, at, sizeof head);
        if (head.rta_len < sizeof head || RTA_ALIGN(head.rta_len) > left)
            return false;
        if (head.rta_type != wanted || head.rta_len < RTA_LENGTH(sizeof *value))
            continue;
        memcpy(value, at + RTA_LENGTH(0), sizeof *value);
        return true;
    }
    return false;
}

// The first number of what the kernel knows as WANTED of a UNIX socket. Its answer is there when the question is sent.
static bool
ask(int netlink, uint32_t inode, uint32_t show, uint16_t wanted, uint32_t *value)
{
    question_t question = {
        .head = { .nlmsg_len = sizeof question, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST },
        .body = { .sdiag_family = AF_UNIX,
                  .udiag_states = UINT32_MAX,
                  .udiag_ino = inode,
                  .udiag_show = show,
                  .udiag_cookie = { UINT32_MAX, UINT32_MAX } },
    };
    netlink_answer_t answer;
    if (send(netlink, &question, sizeof question, 0) == -1)
        return false;
    ssize_t size = recv(netlink, &answer, sizeof answer, MSG_DONTWAIT);
    const ssize_t fixed = offsetof(netlink_answer_t, attributes);
    return size >= fixed && answer.head.nlmsg_type == SOCK_DIAG_BY_FAMILY && find(&answer, (size_t)(size - fixed), wanted, value);
}

uint32_t
unread_by_peer(int fd)
{
    struct stat ours;
    uint32_t peer, bytes = 0;
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink == -1)
        return 0;
    bool known = fstat(fd, &ours) == 0 && ask(netlink, (uint32_t)ours.st_ino, UDIAG_SHOW_PEER, UNIX_DIAG_PEER, &peer) &&
                 ask(netlink, peer, UDIAG_SHOW_RQLEN, UNIX_DIAG_RQLEN, &bytes);
    close(netlink);
    return known ? bytes : 0;
}
