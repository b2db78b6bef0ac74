using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Transport;

/// <summary>
/// Decides which of the sockets that share a port receives what comes from where: by the source port modulo the number of sockets, so that
/// one sender's consecutive ports are spread evenly, beginning somewhere else for each source address. The kernel's own way, a hash of both
/// endpoints, would give some sockets several of few ports and others none.
/// </summary>
[SupportedOSPlatform("linux")]
internal static unsafe class SourceSpread
{
    // Classic BPF (linux/filter.h). The kernel shows the program what is behind the UDP header; at this address the network header begins.
    private const uint NetworkHeader = unchecked((uint)-0x100000);
    private const ushort LoadByte = 0x30, LoadHalf = 0x28, LoadWord = 0x20, LoadHalfBehindX = 0x48, LoadXWithHeaderLength = 0xb1,
        LoadXFromMemory = 0x61, Store = 0x02, MoveToX = 0x07, AddX = 0x0c, XorX = 0xac, Multiply = 0x24, ShiftRight = 0x74, Modulo = 0x94,
        Jump = 0x05, JumpIfEqual = 0x15, ReturnResult = 0x16;

    private const uint IPv4Source = NetworkHeader + 12, IPv6Source = NetworkHeader + 8, BehindIPv6Header = NetworkHeader + 40;

    /// <summary>
    /// Has the sockets that share this one's port receive by source port; false when the system refuses, and then it chooses
    /// in its own way.
    /// </summary>
    /// <param name="socket">One of the sockets.</param>
    /// <param name="count">How many there are by now. What is bound to the port later receives nothing by this.</param>
    public static bool TryAttach(SafeFileHandle socket, int count)
    {
        // The factor is nobody's business: who knew it could choose whose queue it fills.
        Instruction[] program = Program((uint)count, (uint)RandomNumberGenerator.GetInt32(int.MaxValue) | 1);
        fixed (Instruction* first = program)
        {
            var header = new ProgramHeader { Length = (ushort)program.Length, First = first };
            return LibC.SetSocketOption(socket, LibC.SOL_SOCKET, LibC.SO_ATTACH_REUSEPORT_CBPF, &header, (uint)sizeof(ProgramHeader)) == 0;
        }
    }

    /// <summary>Whatever it loads that is not there ends the program with 0: the first socket.</summary>
    private static Instruction[] Program(uint count, uint factor)
    {
        Instruction[] ofIPv4 =
        [
            new(LoadWord, IPv4Source), new(Multiply, factor), new(ShiftRight, 16), new(Store, 0),
            new(LoadXWithHeaderLength, NetworkHeader), new(LoadHalfBehindX, NetworkHeader), // Behind what options there are.
        ];
        Instruction[] ofIPv6 =
        [
            new(LoadWord, IPv6Source), new(Multiply, factor),
            new(MoveToX, 0), new(LoadWord, IPv6Source + 4), new(XorX, 0), new(Multiply, factor),
            new(MoveToX, 0), new(LoadWord, IPv6Source + 8), new(XorX, 0), new(Multiply, factor),
            new(MoveToX, 0), new(LoadWord, IPv6Source + 12), new(XorX, 0), new(Multiply, factor), new(ShiftRight, 16), new(Store, 0),
            new(LoadHalf, BehindIPv6Header),
        ];
        return
        [
            new(LoadByte, NetworkHeader), new(ShiftRight, 4), new(JumpIfEqual, 6) { IfTrue = (byte)(ofIPv4.Length + 1) },
            .. ofIPv4, new(Jump, (uint)ofIPv6.Length),
            .. ofIPv6,
            new(LoadXFromMemory, 0), new(AddX, 0), new(Modulo, count), new(ReturnResult, 0),
        ];
    }

    /// <summary>struct sock_filter.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Instruction(ushort code, uint operand)
    {
        public ushort Code = code;
        public byte IfTrue;
        public byte IfFalse;
        public uint Operand = operand;
    }

    /// <summary>struct sock_fprog.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct ProgramHeader
    {
        public ushort Length;
        public Instruction* First;
    }
}
