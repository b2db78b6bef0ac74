// A stand-in for the functions of iphlpapi.dll that set up an adapter and that Wine does not have, over Linux's own calls. The structures
// are mingw-w64's, so who calls with another layout is found out; values are checked as Microsoft documents it. For tests only: lies beside
// LightTunnel.Core.dll, where .NET looks first.
// x86_64-w64-mingw32-gcc -O2 -Wall -shared -o iphlpapi.dll iphlpapi.c iphlpapi.def
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0A00
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <iphlpapi.h>
#include <netioapi.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include "linux.h"

#define NOT_YET 300 // ms that a new adapter is without IP interfaces, as on Windows

_Static_assert(sizeof(MIB_UNICASTIPADDRESS_ROW) == 80, "MIB_UNICASTIPADDRESS_ROW");
_Static_assert(sizeof(MIB_IPINTERFACE_ROW) == 168, "MIB_IPINTERFACE_ROW");
_Static_assert(sizeof(MIB_IF_ROW2) == 1352 && offsetof(MIB_IF_ROW2, Description) == 542 && offsetof(MIB_IF_ROW2, Type) == 1128
    && offsetof(MIB_IF_ROW2, InterfaceAndOperStatusFlags) == 1152 && offsetof(MIB_IF_ROW2, OperStatus) == 1156, "MIB_IF_ROW2");

static void Trace(const char *format, ...)
{
    const char *path = getenv("STANDIN_ADDRESSES");
    if (!path)
        return;
    FILE *file = fopen(path, "a");
    if (!file)
        return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
    fclose(file);
}

static int Find(const NET_LUID *luid, NET_IFINDEX index, struct lx_ifreq *r)
{
    return lx_name_of(luid->Value ? LX_INDEX(luid->Value) : (int)index, r);
}

DWORD WINAPI StandInConvertInterfaceAliasToLuid(const WCHAR *alias, NET_LUID *luid)
{
    char name[16] = { 0 };
    for (int i = 0; i < 15 && alias[i]; i++)
        name[i] = (char)alias[i];
    int index = lx_index_of(name);
    Trace("ConvertInterfaceAliasToLuid %s: %d", name, index);
    if (!index)
        return ERROR_INVALID_NAME;
    luid->Value = LX_LUID(index);
    return NO_ERROR;
}

DWORD WINAPI StandInConvertInterfaceLuidToIndex(const NET_LUID *luid, NET_IFINDEX *index)
{
    struct lx_ifreq r;
    if (!Find(luid, 0, &r))
        return ERROR_INVALID_PARAMETER;
    *index = LX_INDEX(luid->Value);
    return NO_ERROR;
}

void WINAPI StandInInitializeIpInterfaceEntry(MIB_IPINTERFACE_ROW *row)
{
    // What Windows leaves "unchanged" has values that no caller would set by accident.
    memset(row, 0, sizeof *row);
    row->Metric = 0xFFFFFFFF;
    row->NlMtu = 0xFFFFFFFF;
    row->SitePrefixLength = 0xFFFFFFFF;
    row->RouterDiscoveryBehavior = RouterDiscoveryUnchanged;
    row->LinkLocalAddressBehavior = LinkLocalUnchanged;
    row->DadTransmits = 0xFFFFFFFF;
}

DWORD WINAPI StandInGetIpInterfaceEntry(MIB_IPINTERFACE_ROW *row)
{
    static DWORD first;
    static NET_LUID seen;
    struct lx_ifreq r;
    if (row->Family != AF_INET && row->Family != AF_INET6)
        return ERROR_INVALID_PARAMETER;
    if (!Find(&row->InterfaceLuid, row->InterfaceIndex, &r))
        return ERROR_FILE_NOT_FOUND;
    if (seen.Value != row->InterfaceLuid.Value)
    {
        seen = row->InterfaceLuid;
        first = GetTickCount();
    }
    if (GetTickCount() - first < NOT_YET)
        return ERROR_NOT_FOUND;
    row->InterfaceIndex = LX_INDEX(row->InterfaceLuid.Value);
    row->SitePrefixLength = 64;
    row->UseAutomaticMetric = TRUE;
    row->RouterDiscoveryBehavior = RouterDiscoveryDhcp;
    row->DadTransmits = 3;
    row->Metric = 5;
    row->NlMtu = lx_netctl(LX_AF_INET, SIOCGIFMTU, &r) < 0 ? 0 : r.number;
    return NO_ERROR;
}

DWORD WINAPI StandInSetIpInterfaceEntry(MIB_IPINTERFACE_ROW *row)
{
    struct lx_ifreq r;
    Trace("SetIpInterfaceEntry family %d mtu %lu dad %lu router discovery %d site prefix %lu metric %lu automatic %d", row->Family, row->NlMtu,
        row->DadTransmits, row->RouterDiscoveryBehavior, row->SitePrefixLength, row->Metric, row->UseAutomaticMetric);
    if ((row->Family != AF_INET && row->Family != AF_INET6) || (row->Family == AF_INET && row->SitePrefixLength != 0)
        || row->SitePrefixLength > 128 || row->NlMtu < (row->Family == AF_INET ? 576 : 1280))
        return ERROR_INVALID_PARAMETER;
    if (!Find(&row->InterfaceLuid, row->InterfaceIndex, &r))
        return ERROR_FILE_NOT_FOUND;
    r.number = (int)row->NlMtu;
    return lx_netctl(LX_AF_INET, SIOCSIFMTU, &r) < 0 ? ERROR_INVALID_PARAMETER : NO_ERROR;
}

void WINAPI StandInInitializeUnicastIpAddressEntry(MIB_UNICASTIPADDRESS_ROW *row)
{
    memset(row, 0, sizeof *row);
    row->ValidLifetime = row->PreferredLifetime = 0xFFFFFFFF;
    row->OnLinkPrefixLength = 255;
    row->PrefixOrigin = IpPrefixOriginUnchanged;
    row->SuffixOrigin = IpSuffixOriginUnchanged;
}

static DWORD Change(const MIB_UNICASTIPADDRESS_ROW *row, int add)
{
    struct lx_ifreq r;
    int v4 = row->Address.si_family == AF_INET;
    Trace("%s family %d prefix %d dad state %d lifetimes %lx %lx", add ? "CreateUnicastIpAddressEntry" : "DeleteUnicastIpAddressEntry", row->Address.si_family,
        row->OnLinkPrefixLength, row->DadState, row->ValidLifetime, row->PreferredLifetime);
    if ((!v4 && row->Address.si_family != AF_INET6) || row->ValidLifetime < row->PreferredLifetime
        || (add && row->OnLinkPrefixLength != 255 && row->OnLinkPrefixLength > (v4 ? 32 : 128))
        || (row->PrefixOrigin == IpPrefixOriginUnchanged) != (row->SuffixOrigin == IpSuffixOriginUnchanged))
        return ERROR_INVALID_PARAMETER;
    if (!Find(&row->InterfaceLuid, row->InterfaceIndex, &r))
        return ERROR_NOT_FOUND;
    int prefix = row->OnLinkPrefixLength == 255 ? (v4 ? 32 : 128) : row->OnLinkPrefixLength;
    if (v4)
    {
        r.in.family = LX_AF_INET;
        r.in.port = 0;
        memset(r.in.address, 0, 4);
        if (add)
            memcpy(r.in.address, &row->Address.Ipv4.sin_addr, 4);
        if (lx_netctl(LX_AF_INET, SIOCSIFADDR, &r) < 0)
            return ERROR_INVALID_PARAMETER;
        if (!add)
            return NO_ERROR;
        uint32_t mask = prefix ? __builtin_bswap32(0xFFFFFFFFu << (32 - prefix)) : 0;
        memcpy(r.in.address, &mask, 4);
        return lx_netctl(LX_AF_INET, SIOCSIFNETMASK, &r) < 0 ? ERROR_INVALID_PARAMETER : NO_ERROR;
    }

    struct lx_in6_ifreq six = { .prefix = prefix, .index = lx_index_of(r.name) };
    memcpy(six.address, &row->Address.Ipv6.sin6_addr, 16);
    lx_t result = lx_netctl(LX_AF_INET6, add ? SIOCSIFADDR : SIOCDIFADDR, &six);
    return result == -17 ? ERROR_OBJECT_ALREADY_EXISTS : result < 0 ? ERROR_INVALID_PARAMETER : NO_ERROR;
}

DWORD WINAPI StandInCreateUnicastIpAddressEntry(const MIB_UNICASTIPADDRESS_ROW *row) { return Change(row, 1); }

DWORD WINAPI StandInDeleteUnicastIpAddressEntry(const MIB_UNICASTIPADDRESS_ROW *row) { return Change(row, 0); }

static int Digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

// "fd000009000000000000000000000030 02 40 00 80      lt0": address, index, prefix, scope and flags, all in hexadecimal digits.
static void AddIPv6(MIB_UNICASTIPADDRESS_TABLE *t)
{
    char text[16384];
    size_t length = 0;
    lx_t got, file = lx(LX_OPEN, (lx_t)"/proc/net/if_inet6", LX_O_CLOEXEC, 0, 0, 0, 0);
    if (file < 0)
        return;
    while ((got = lx(LX_READ, file, (lx_t)(text + length), sizeof text - 1 - length, 0, 0, 0)) > 0)
        length += got;
    lx(LX_CLOSE, file, 0, 0, 0, 0, 0);
    text[length] = 0;
    for (char *line = text; strlen(line) > 32 && t->NumEntries < 64; line = strchr(line, '\n') + 1)
    {
        MIB_UNICASTIPADDRESS_ROW *row = &t->Table[t->NumEntries++];
        BYTE *address = (BYTE *)&row->Address.Ipv6.sin6_addr;
        for (int i = 0; i < 16; i++)
            address[i] = (BYTE)(Digit(line[2 * i]) << 4 | Digit(line[2 * i + 1]));
        unsigned index, prefix;
        sscanf(line + 32, "%x %x", &index, &prefix);
        row->Address.si_family = AF_INET6;
        row->InterfaceIndex = index;
        row->InterfaceLuid.Value = LX_LUID(index);
        row->OnLinkPrefixLength = (UINT8)prefix;
        row->DadState = IpDadStatePreferred;
        if (!strchr(line, '\n'))
            break;
    }
}

// Tables of this library's own: Wine's are freed by Wine.
static void *volatile tables[64];

static DWORD Give(void *made, void **table)
{
    for (int i = 0; i < 64; i++)
    {
        if (InterlockedCompareExchangePointer(&tables[i], made, NULL) == NULL)
        {
            *table = made;
            return NO_ERROR;
        }
    }
    free(made);
    return ERROR_NOT_ENOUGH_MEMORY;
}

DWORD WINAPI StandInGetUnicastIpAddressTable(ADDRESS_FAMILY family, MIB_UNICASTIPADDRESS_TABLE **table)
{
    // Of IPv4 one address each: as much as Linux's old calls tell.
    MIB_UNICASTIPADDRESS_TABLE *t = calloc(1, sizeof *t + 64 * sizeof(MIB_UNICASTIPADDRESS_ROW));
    for (int index = 1; index < 512 && family != AF_INET6 && t->NumEntries < 64; index++)
    {
        struct lx_ifreq r;
        if (!lx_name_of(index, &r) || lx_netctl(LX_AF_INET, SIOCGIFADDR, &r) < 0)
            continue;
        MIB_UNICASTIPADDRESS_ROW *row = &t->Table[t->NumEntries++];
        row->Address.si_family = AF_INET;
        memcpy(&row->Address.Ipv4.sin_addr, r.in.address, 4);
        row->InterfaceIndex = index;
        row->InterfaceLuid.Value = LX_LUID(index);
        lx_netctl(LX_AF_INET, SIOCGIFNETMASK, &r);
        uint32_t mask;
        memcpy(&mask, r.in.address, 4);
        row->OnLinkPrefixLength = (UINT8)__builtin_popcount(mask);
        row->DadState = IpDadStatePreferred;
    }
    if (family != AF_INET)
        AddIPv6(t);
    return Give(t, (void **)table);
}

// What Wine has, under the numbers that this library gives adapters: to Wine they are of no known type, and so are their LUIDs.
#define ADAPTED X(FreeMibTable) X(ConvertInterfaceLuidToGuid) X(GetIfTable2) X(GetIpForwardTable2)
#define X(name) static typeof(name) *Wine_##name;
ADAPTED
#undef X

static void Adapt(NET_LUID *luid)
{
    if (luid->Info.IfType == MIB_IF_TYPE_OTHER)
        luid->Info.IfType = IF_TYPE_PROP_VIRTUAL;
}

DWORD WINAPI StandInConvertInterfaceLuidToGuid(const NET_LUID *luid, GUID *guid)
{
    NET_LUID wines = *luid;
    if (wines.Info.IfType == IF_TYPE_PROP_VIRTUAL)
        wines.Info.IfType = MIB_IF_TYPE_OTHER;
    return Wine_ConvertInterfaceLuidToGuid(&wines, guid);
}

DWORD WINAPI StandInGetIfTable2(MIB_IF_TABLE2 **table)
{
    DWORD error = Wine_GetIfTable2(table);
    for (ULONG i = 0; !error && i < (*table)->NumEntries; i++)
    {
        Adapt(&(*table)->Table[i].InterfaceLuid);
        (*table)->Table[i].Type = (*table)->Table[i].InterfaceLuid.Info.IfType;
    }
    return error;
}

// Wine's says that it is not supported. Both families on each interface, with metrics as a tunnel and a card have them.
DWORD WINAPI StandInGetIpInterfaceTable(ADDRESS_FAMILY family, MIB_IPINTERFACE_TABLE **table)
{
    MIB_IF_TABLE2 *all;
    DWORD error = StandInGetIfTable2(&all);
    if (error)
        return error;
    MIB_IPINTERFACE_TABLE *t = calloc(1, sizeof *t + 2 * all->NumEntries * sizeof(MIB_IPINTERFACE_ROW));
    for (ULONG i = 0; i < 2 * all->NumEntries; i++)
    {
        MIB_IF_ROW2 *one = &all->Table[i / 2];
        ADDRESS_FAMILY its = i % 2 ? AF_INET6 : AF_INET;
        if (family != AF_UNSPEC && family != its)
            continue;
        MIB_IPINTERFACE_ROW *row = &t->Table[t->NumEntries++];
        row->Family = its;
        row->InterfaceLuid = one->InterfaceLuid;
        row->InterfaceIndex = one->InterfaceIndex;
        row->Metric = one->Type == IF_TYPE_PROP_VIRTUAL ? 100 : 25;
        row->NlMtu = one->Mtu;
        row->Connected = TRUE;
    }
    Wine_FreeMibTable(all);
    return Give(t, (void **)table);
}

DWORD WINAPI StandInGetIpForwardTable2(ADDRESS_FAMILY family, MIB_IPFORWARD_TABLE2 **table)
{
    DWORD error = Wine_GetIpForwardTable2(family, table);
    for (ULONG i = 0; !error && i < (*table)->NumEntries; i++)
        Adapt(&(*table)->Table[i].InterfaceLuid);
    return error;
}

void WINAPI StandInFreeMibTable(void *memory)
{
    for (int i = 0; i < 64; i++)
    {
        if (tables[i] == memory)
        {
            tables[i] = NULL;
            free(memory);
            return;
        }
    }

    Wine_FreeMibTable(memory);
}

// Everything else is Wine's: under Wine one name is one library, so this one stands before it for all of the process.
#define WINES \
    X(CancelIPChangeNotify) X(ConvertGuidToStringA) X(ConvertGuidToStringW) X(ConvertInterfaceGuidToLuid) X(ConvertInterfaceIndexToLuid) \
    X(ConvertInterfaceLuidToNameA) X(ConvertInterfaceLuidToNameW) X(ConvertInterfaceNameToLuidA) \
    X(ConvertInterfaceNameToLuidW) X(ConvertInterfaceLuidToAlias) X(ConvertLengthToIpv4Mask) X(GetAdapterIndex) X(GetAdaptersAddresses) \
    X(GetAdaptersInfo) X(GetBestInterface) X(GetBestInterfaceEx) X(GetBestRoute) X(GetBestRoute2) X(GetExtendedTcpTable) X(GetExtendedUdpTable) \
    X(GetIcmpStatisticsEx) X(GetIfEntry) X(GetIfEntry2) X(GetIfTable) X(GetInterfaceInfo) X(GetIpAddrTable) X(GetIpForwardTable) \
    X(GetIpNetTable) X(GetIpNetTable2) X(GetIpStatisticsEx) X(GetNetworkParams) X(GetNumberOfInterfaces) \
    X(GetPerAdapterInfo) X(GetTcpStatisticsEx) X(GetTcpTable) X(GetUdpStatisticsEx) X(GetUdpTable) X(GetUnicastIpAddressEntry) X(Icmp6CreateFile) \
    X(Icmp6ParseReplies) X(Icmp6SendEcho2) X(IcmpCloseHandle) X(IcmpCreateFile) X(IcmpParseReplies) X(IcmpSendEcho) X(IcmpSendEcho2) \
    X(IcmpSendEcho2Ex) X(if_indextoname) X(if_nametoindex) X(NotifyAddrChange) X(NotifyIpInterfaceChange) X(NotifyRouteChange) X(NotifyRouteChange2) \
    X(NotifyUnicastIpAddressChange) X(CancelMibChangeNotify2) X(SendARP) X(ParseNetworkString)

#define X(name) static void *Wine_##name;
WINES
#undef X
#define X(name) __attribute__((naked)) void StandIn##name(void) { __asm__("jmp *%0" : : "m"(Wine_##name)); }
WINES
#undef X

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, void *reserved)
{
    (void)instance;
    (void)reserved;
    if (reason != DLL_PROCESS_ATTACH)
        return TRUE;
    HMODULE wine = LoadLibraryW(L"C:\\windows\\wine\\iphlpapi.dll");
    if (!wine || wine == instance)
        return FALSE;
    // Never unloaded: Wine's own would stay, and be found by the name from then on.
    HMODULE pinned;
    GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, (const WCHAR *)instance, &pinned);
#define X(name) Wine_##name = (void *)GetProcAddress(wine, #name);
    WINES
    ADAPTED
#undef X
    return TRUE;
}
