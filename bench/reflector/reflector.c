// The reference for Shunt's throughput: the least that a userspace rewriter on NFQUEUE can do.
//
//     reflector QUEUE        (prints "ready", runs until it is ended)
//
// For every TCP segment of one queue: on its way out the header grows by 20 bytes of NOP options, on its way in such 20
// bytes are taken out again. No state, no tables, one thread. It does what any such program must:
//
//  1. receive a batch of packets (recvmmsg), super-packets whole (NFQA_CFG_F_GSO);
//  2. move the header left into the bytes before it, so that no payload moves;
//  3. checksum: the IP header always, TCP in full, except for a super-packet on its way out: the kernel does that one;
//  4. return the whole packet as a verdict, in batches too (sendmmsg).
//
// SYNs lose 20 from their MSS, so that no segment outgrows the wire, and their timestamps, so that 20 bytes fit beside
// three SACK blocks. IPv4 only; anything else is accepted as it is.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum {
  BATCH = 64,           // packets per system call
  SLOT = 72 * 1024,     // bytes per packet: 65,531 of payload, netlink headers, headroom
  GROWTH = 20,          // bytes of options added
  QUEUE_LENGTH = 16384, // packets that may wait in the kernel
  RECEIVE_BUFFER = 128 << 20,
};

// What is said to the kernel before a packet's bytes.
struct verdict {
  struct nlmsghdr header;
  struct nfgenmsg queue;
  struct nlattr verdict_attribute;
  struct nfqnl_msg_verdict_hdr verdict;
  struct nlattr payload_attribute;
};

// What the kernel said about a packet.
struct packet {
  uint32_t id; // network order
  uint8_t hook;
  uint32_t info;
  uint8_t *data;
  uint32_t length;
};

static int netlink;
static uint16_t queue_number;
static uint8_t *slots;
static struct verdict verdicts[BATCH];

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t sum_words(const uint8_t *at, uint32_t length, uint64_t sum) {
  for (; length >= 8; at += 8, length -= 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    sum += (word >> 32) + (word & 0xffffffff);
  }
  for (; length >= 2; at += 2, length -= 2) {
    uint16_t word;
    memcpy(&word, at, 2);
    sum += word;
  }
  return length ? sum + *at : sum;
}

// One's complement of the folded sum, in memory order.
static uint16_t finish(uint64_t sum) {
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static void set_checksums(uint8_t *ip, uint32_t length, uint32_t ip_header, int with_tcp) {
  memset(ip + 10, 0, 2);
  uint16_t sum = finish(sum_words(ip, ip_header, 0));
  memcpy(ip + 10, &sum, 2);
  if (!with_tcp)
    return;
  uint8_t *tcp = ip + ip_header;
  memset(tcp + 16, 0, 2);
  uint64_t pseudo = sum_words(ip + 12, 8, htons(6) + (uint64_t)htons((uint16_t)(length - ip_header)));
  sum = finish(sum_words(tcp, length - ip_header, pseudo));
  memcpy(tcp + 16, &sum, 2);
}

// SYN: MSS lowered by the growth, timestamps blanked.
static void rewrite_syn(uint8_t *tcp, uint32_t tcp_header) {
  for (uint32_t at = 20; at < tcp_header && tcp[at] != 0;) {
    if (tcp[at] == 1) {
      at++;
      continue;
    }
    uint32_t length = at + 1 < tcp_header ? tcp[at + 1] : 0;
    if (length < 2 || at + length > tcp_header)
      return;
    if (tcp[at] == 2 && length == 4) {
      uint16_t mss = (uint16_t)((tcp[at + 2] << 8 | tcp[at + 3]) - GROWTH);
      tcp[at + 2] = (uint8_t)(mss >> 8);
      tcp[at + 3] = (uint8_t)mss;
    } else if (tcp[at] == 8) {
      memset(tcp + at, 1, length);
    }
    at += length;
  }
}

static int ends_with_growth(const uint8_t *tcp, uint32_t tcp_header) {
  static const uint8_t nops[GROWTH] = {[0 ... GROWTH - 1] = 1};
  return tcp_header >= 20 + GROWTH && memcmp(tcp + tcp_header - GROWTH, nops, GROWTH) == 0;
}

// Rewrites a packet in place. False when it is none of ours.
static int rewrite(struct packet *packet) {
  uint8_t *ip = packet->data;
  if (packet->length < 40 || ip[0] >> 4 != 4 || ip[9] != 6)
    return 0;
  uint32_t ip_header = (ip[0] & 15) * 4u, tcp_header = (ip[ip_header + 12] >> 4) * 4u;
  uint32_t headers = ip_header + tcp_header;
  if (headers > packet->length)
    return 0;
  int out = packet->hook == NF_INET_LOCAL_OUT;
  if (ip[ip_header + 13] & 2) {
    rewrite_syn(ip + ip_header, tcp_header);
  } else if (out && tcp_header + GROWTH <= 60 && packet->length + GROWTH <= 65531) {
    memmove(ip - GROWTH, ip, headers);
    ip -= GROWTH;
    memset(ip + headers, 1, GROWTH);
    packet->length += GROWTH;
    ip[ip_header + 12] += (GROWTH / 4) << 4;
  } else if (!out && ends_with_growth(ip + ip_header, tcp_header)) {
    memmove(ip + GROWTH, ip, headers - GROWTH);
    ip += GROWTH;
    packet->length -= GROWTH;
    ip[ip_header + 12] -= (GROWTH / 4) << 4;
  }
  packet->data = ip;
  ip[2] = (uint8_t)(packet->length >> 8);
  ip[3] = (uint8_t)packet->length;
  set_checksums(ip, packet->length, ip_header, !(out && (packet->info & NFQA_SKB_GSO)));
  return 1;
}

// Reads the attributes of one message. False when it holds no packet.
static int parse(uint8_t *message, uint32_t length, struct packet *packet) {
  struct nlmsghdr *header = (struct nlmsghdr *)message;
  if (length < sizeof *header || header->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET))
    return 0;
  memset(packet, 0, sizeof *packet);
  uint32_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
  while (at + NLA_HDRLEN <= header->nlmsg_len) {
    struct nlattr *attribute = (struct nlattr *)(message + at);
    uint8_t *value = message + at + NLA_HDRLEN;
    switch (attribute->nla_type & NLA_TYPE_MASK) {
    case NFQA_PACKET_HDR:
      packet->id = ((struct nfqnl_msg_packet_hdr *)value)->packet_id;
      packet->hook = ((struct nfqnl_msg_packet_hdr *)value)->hook;
      break;
    case NFQA_SKB_INFO:
      packet->info = ntohl(*(uint32_t *)value);
      break;
    case NFQA_PAYLOAD:
      packet->data = value;
      packet->length = attribute->nla_len - NLA_HDRLEN;
      break;
    }
    at += NLA_ALIGN(attribute->nla_len);
  }
  return packet->data != NULL;
}

static void prepare_verdict(struct verdict *message, const struct packet *packet, uint32_t length) {
  *message = (struct verdict){
      .header = {.nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT, .nlmsg_flags = NLM_F_REQUEST},
      .queue = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(queue_number)},
      .verdict_attribute = {.nla_len = NLA_HDRLEN + sizeof message->verdict, .nla_type = NFQA_VERDICT_HDR},
      .verdict = {.verdict = htonl(NF_ACCEPT), .id = packet->id},
      .payload_attribute = {.nla_len = (uint16_t)(NLA_HDRLEN + length), .nla_type = NFQA_PAYLOAD},
  };
  uint32_t whole = length ? sizeof *message + length : sizeof *message - NLA_HDRLEN;
  message->header.nlmsg_len = whole;
}

static void run(void) {
  static struct mmsghdr in[BATCH], out[BATCH];
  static struct iovec in_vectors[BATCH], out_vectors[BATCH][2];
  for (int i = 0; i < BATCH; i++) {
    in_vectors[i] = (struct iovec){slots + (size_t)i * SLOT, SLOT};
    in[i].msg_hdr = (struct msghdr){.msg_iov = &in_vectors[i], .msg_iovlen = 1};
  }
  for (;;) {
    int received = recvmmsg(netlink, in, BATCH, MSG_WAITFORONE, NULL);
    if (received < 0 && (errno == EINTR || errno == ENOBUFS))
      continue;
    if (received < 0)
      die("recvmmsg");
    int count = 0;
    for (int i = 0; i < received; i++) {
      struct packet packet;
      if (!parse(in_vectors[i].iov_base, in[i].msg_len, &packet))
        continue;
      int ours = rewrite(&packet);
      prepare_verdict(&verdicts[count], &packet, ours ? packet.length : 0);
      size_t head = sizeof(struct verdict) - (ours ? 0 : NLA_HDRLEN);
      out_vectors[count][0] = (struct iovec){&verdicts[count], head};
      out_vectors[count][1] = (struct iovec){packet.data, packet.length};
      out[count].msg_hdr = (struct msghdr){.msg_iov = out_vectors[count], .msg_iovlen = ours ? 2 : 1};
      count++;
    }
    for (int sent = 0; sent < count;) {
      int result = sendmmsg(netlink, out + sent, (unsigned)(count - sent), 0);
      if (result < 0 && errno != EINTR)
        die("sendmmsg");
      sent += result > 0 ? result : 0;
    }
  }
}

// Sends one configuration message with one attribute and waits for the kernel's answer.
static void configure(uint16_t type, const void *value, uint16_t length, const char *what) {
  struct {
    struct nlmsghdr header;
    struct nfgenmsg queue;
    struct nlattr attribute;
    uint8_t value[16];
  } request = {
      .header = {.nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
      .queue = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(queue_number)},
      .attribute = {.nla_len = (uint16_t)(NLA_HDRLEN + length), .nla_type = type},
  };
  memcpy(request.value, value, length);
  request.header.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + sizeof request.queue + NLA_ALIGN(NLA_HDRLEN + length));
  if (send(netlink, &request, request.header.nlmsg_len, 0) < 0)
    die(what);
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
  } answer;
  if (recv(netlink, &answer, sizeof answer, MSG_TRUNC) < 0)
    die(what);
  if (answer.header.nlmsg_type == NLMSG_ERROR && answer.error.error != 0) {
    errno = -answer.error.error;
    die(what);
  }
}

static void open_queue(void) {
  netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  if (netlink < 0 || bind(netlink, (struct sockaddr *)&address, sizeof address) < 0)
    die("netlink");
  int size = RECEIVE_BUFFER, on = 1;
  if (setsockopt(netlink, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
    setsockopt(netlink, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(netlink, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
  struct nfqnl_msg_config_cmd bind_queue = {.command = NFQNL_CFG_CMD_BIND, .pf = htons(AF_INET)};
  configure(NFQA_CFG_CMD, &bind_queue, sizeof bind_queue, "bind queue");
  struct nfqnl_msg_config_params copy = {.copy_range = htonl(0xffff), .copy_mode = NFQNL_COPY_PACKET};
  configure(NFQA_CFG_PARAMS, &copy, sizeof copy, "copy mode");
  uint32_t length = htonl(QUEUE_LENGTH);
  configure(NFQA_CFG_QUEUE_MAXLEN, &length, sizeof length, "queue length");
  // Flags need a mask in the same message.
  struct {
    uint32_t flags;
    struct nlattr attribute;
    uint32_t mask;
  } gso = {htonl(NFQA_CFG_F_GSO), {.nla_len = NLA_HDRLEN + 4, .nla_type = NFQA_CFG_MASK}, htonl(NFQA_CFG_F_GSO)};
  struct {
    struct nlmsghdr header;
    struct nfgenmsg queue;
    struct nlattr attribute;
    uint8_t value[sizeof gso];
  } request = {
      .header = {.nlmsg_len = sizeof request,
                 .nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG,
                 .nlmsg_flags = NLM_F_REQUEST},
      .queue = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(queue_number)},
      .attribute = {.nla_len = NLA_HDRLEN + 4, .nla_type = NFQA_CFG_FLAGS},
  };
  memcpy(request.value, &gso, sizeof gso);
  if (send(netlink, &request, sizeof request, 0) < 0)
    die("GSO");
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: reflector QUEUE\n");
    return 2;
  }
  queue_number = (uint16_t)atoi(argv[1]);
  slots = mmap(NULL, (size_t)BATCH * SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (slots == MAP_FAILED)
    die("mmap");
  open_queue();
  puts("ready");
  fflush(stdout);
  run();
}
