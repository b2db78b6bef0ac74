// A stand-in for ws2_32.dll under Wine: adds what Wine lacks of Windows 10 2004's UDP, segmentation on sending (UDP_SEND_MSG_SIZE) and coalescing on
// receiving (UDP_RECV_MAX_COALESCED_SIZE); all else is Wine's. Structures are mingw-w64's. For tests only.
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0A00
#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <windows.h>
#include <stdlib.h>
#include <stdio.h>

#define X(name) static void *Wine_##name;
#include "ws2_32_thunks.h"
#undef X
#define X(name) __attribute__((naked)) void StandIn##name(void) { __asm__("jmp *%0" : : "m"(Wine_##name)); }
#include "ws2_32_thunks.h"
#undef X

#define UDP_SEND_MSG_SIZE_ 2
#define UDP_RECV_MAX_COALESCED_SIZE_ 3
#define SOCKETS 65536
static volatile DWORD Coalesce[SOCKETS];
static volatile LONG Trains, Datagrams, Merged, MergedDatagrams, Wrong;
static LPFN_WSARECVMSG RealReceive;
#define SLOT(s) ((size_t)(s) / 4 % SOCKETS)
#define CALL(name, type) ((type)Wine_##name)

static void Report(void)
{
    const char *path = getenv("STANDIN_SEGMENTS");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    fprintf(file, "trains sent %ld of %ld datagrams, merged receives %ld of %ld datagrams, wrong control messages %ld\n", Trains, Datagrams, Merged, MergedDatagrams, Wrong);
    fclose(file);
}

int WSAAPI Owngetsockopt(SOCKET s, int level, int name, char *value, int *length)
{
    if (level == IPPROTO_UDP && (name == UDP_SEND_MSG_SIZE_ || name == UDP_RECV_MAX_COALESCED_SIZE_))
    {
        *(DWORD *)value = name == UDP_RECV_MAX_COALESCED_SIZE_ ? Coalesce[SLOT(s)] : 0;
        *length = sizeof(DWORD);
        return 0;
    }
    return CALL(getsockopt, int(WSAAPI *)(SOCKET, int, int, char *, int *))(s, level, name, value, length);
}

int WSAAPI Ownsetsockopt(SOCKET s, int level, int name, const char *value, int length)
{
    if (level == IPPROTO_UDP && name == UDP_RECV_MAX_COALESCED_SIZE_)
    {
        Coalesce[SLOT(s)] = *(const DWORD *)value;
        return 0;
    }
    return CALL(setsockopt, int(WSAAPI *)(SOCKET, int, int, const char *, int))(s, level, name, value, length);
}

int WSAAPI Ownclosesocket(SOCKET s)
{
    Coalesce[SLOT(s)] = 0;
    return CALL(closesocket, int(WSAAPI *)(SOCKET))(s);
}

int WSAAPI OwnWSASendMsg(SOCKET s, LPWSAMSG m, DWORD flags, LPDWORD sent, LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE done)
{
    int(WSAAPI * SendTo)(SOCKET, const char *, int, int, const struct sockaddr *, int) = Wine_sendto;
    LPWSACMSGHDR c = WSA_CMSG_FIRSTHDR(m);
    if (!c || overlapped)
        return CALL(WSASendMsg, int(WSAAPI *)(SOCKET, LPWSAMSG, DWORD, LPDWORD, LPWSAOVERLAPPED, LPWSAOVERLAPPED_COMPLETION_ROUTINE))(s, m, flags, sent, overlapped, done);
    DWORD size = *(DWORD *)WSA_CMSG_DATA(c);
    if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_SEND_MSG_SIZE_ || c->cmsg_len != WSA_CMSG_LEN(sizeof(DWORD)) || m->Control.len < WSA_CMSG_SPACE(sizeof(DWORD))
        || m->dwBufferCount != 1 || size == 0 || m->lpBuffers[0].len > 65535 - 8)
    {
        InterlockedIncrement(&Wrong);
        Report();
        SetLastError(WSAEINVAL);
        return SOCKET_ERROR;
    }

    InterlockedIncrement(&Trains);
    for (DWORD at = 0; at < m->lpBuffers[0].len; at += size)
    {
        DWORD length = m->lpBuffers[0].len - at;
        InterlockedIncrement(&Datagrams);
        if (SendTo(s, m->lpBuffers[0].buf + at, length < size ? length : size, 0, m->name, m->namelen) < 0)
            return SOCKET_ERROR;
    }

    *sent = m->lpBuffers[0].len;
    if (Trains % 64 == 1)
        Report();
    return 0;
}

static INT WSAAPI Receive(SOCKET s, LPWSAMSG m, LPDWORD received, LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE done)
{
    int(WSAAPI * ReceiveFrom)(SOCKET, char *, int, int, struct sockaddr *, int *) = Wine_recvfrom;
    int(WSAAPI * Ioctl)(SOCKET, long, u_long *) = Wine_ioctlsocket;
    DWORD limit = Coalesce[SLOT(s)];
    WSABUF control = m->Control;
    INT result = RealReceive(s, m, received, overlapped, done);
    if (result || overlapped || !limit || !*received)
        return result;
    DWORD size = *received, count = 1;
    for (;;)
    {
        u_long waiting = 0;
        struct sockaddr_storage from;
        int length = sizeof from;
        static char peeked[65536]; // what is in it is never looked at
        if (*received + size > limit || *received + size > m->lpBuffers[0].len || Ioctl(s, FIONREAD, &waiting) || waiting == 0)
            break;
        int next = ReceiveFrom(s, peeked, sizeof peeked, MSG_PEEK, (struct sockaddr *)&from, &length);
        if (next <= 0 || (DWORD)next > size || length != m->namelen || memcmp(&from, m->name, length))
            break;
        next = ReceiveFrom(s, m->lpBuffers[0].buf + *received, (int)size, 0, NULL, NULL);
        if (next <= 0)
            break;
        *received += next;
        count++;
        if ((DWORD)next < size)
            break;
    }

    m->Control.len = 0;
    if (count > 1 && control.len >= WSA_CMSG_SPACE(sizeof(DWORD)))
    {
        LPWSACMSGHDR c = (LPWSACMSGHDR)control.buf;
        c->cmsg_len = WSA_CMSG_LEN(sizeof(DWORD));
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = 3; // UDP_COALESCED_INFO
        *(DWORD *)WSA_CMSG_DATA(c) = size;
        m->Control.len = WSA_CMSG_SPACE(sizeof(DWORD));
        InterlockedIncrement(&Merged);
        InterlockedExchangeAdd(&MergedDatagrams, count);
        if (Merged % 64 == 1)
            Report();
    }
    return 0;
}

int WSAAPI OwnWSAIoctl(SOCKET s, DWORD code, LPVOID in, DWORD inLength, LPVOID out, DWORD outLength, LPDWORD returned, LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE done)
{
    static const GUID receive = WSAID_WSARECVMSG;
    int result = CALL(WSAIoctl, int(WSAAPI *)(SOCKET, DWORD, LPVOID, DWORD, LPVOID, DWORD, LPDWORD, LPWSAOVERLAPPED, LPWSAOVERLAPPED_COMPLETION_ROUTINE))(
        s, code, in, inLength, out, outLength, returned, overlapped, done);
    if (result == 0 && code == SIO_GET_EXTENSION_FUNCTION_POINTER && inLength == sizeof(GUID) && !memcmp(in, &receive, sizeof receive))
    {
        RealReceive = *(LPFN_WSARECVMSG *)out;
        *(LPFN_WSARECVMSG *)out = Receive;
    }
    return result;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, void *reserved)
{
    (void)reserved;
    if (reason != DLL_PROCESS_ATTACH)
        return TRUE;
    HMODULE wine = LoadLibraryW(L"C:\\windows\\wine\\ws2_32.dll");
    if (!wine || wine == instance)
        return FALSE;
    // Never unloaded: Wine's own would stay, and be found by the name from then on.
    HMODULE pinned;
    GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, (const WCHAR *)instance, &pinned);
#define X(name) Wine_##name = (void *)GetProcAddress(wine, #name);
#include "ws2_32_thunks.h"
#undef X
    return TRUE;
}
