using System.Net;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Membership.Store;
using LightTunnel.Tests.Membership;
using LightTunnel.Routing;
using LightTunnel.WireGuard;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace LightTunnel.Tests.Configuration;

public sealed partial class StateStoreTests : IDisposable
{
    private const UnixFileMode OwnerFolder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private sealed class PowerCut : Exception;

    [Fact]
    public void Store_ClosedWhileAProcessIsBeingStarted_IsFreeAtOnce()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Descriptors are inherited so on Linux.");
        StateStore store = StateStore.Open(_folder.Path);
        string lockPath = Path.Combine(store.Folder, "lock");
        string link = Directory.EnumerateFiles("/proc/self/fd").Single(each => TargetOf(each) == lockPath);
        // Another name for the same open file, as a child has it between fork and exec.
        using var inherited = new SafeFileHandle(
            Duplicate(int.Parse(Path.GetFileName(link), CultureInfo.InvariantCulture)), ownsHandle: true);
        Assert.False(inherited.IsInvalid);
        Assert.Equal(LightTunnelError.StateInUse, Assert.Throws<LightTunnelException>(() => StateStore.Open(_folder.Path)).Error);

        store.Dispose();

        StateStore.Open(_folder.Path).Dispose();
    }

    [Fact]
    public void LastUsed_IsWhenTheFolderWasLetGo_OrWhenItWasLastWritten_WhateverTheClockSaysNow()
    {
        using (StateStore first = StateStore.Open(_folder.Path))
            Assert.Null(first.LastUsed);
        DateTimeOffset until;
        using (StateStore second = StateStore.Open(_folder.Path))
            until = Assert.NotNull(second.LastUsed);
        Assert.InRange(until, DateTimeOffset.UtcNow - TimeSpan.FromHours(1), DateTimeOffset.UtcNow + TimeSpan.FromSeconds(2));

        // Then the clock was set back by a day.
        File.SetLastWriteTimeUtc(Path.Combine(_folder.Path, "process"), until.UtcDateTime + TimeSpan.FromDays(1));
        using (StateStore third = StateStore.Open(_folder.Path))
            Assert.Equal(until + TimeSpan.FromDays(1), third.LastUsed);

        // What was known is not forgotten, though the clock is still a day behind.
        using StateStore fourth = StateStore.Open(_folder.Path);
        Assert.InRange(fourth.LastUsed!.Value, until + TimeSpan.FromDays(1), until + TimeSpan.FromDays(1.5));
    }

    [LibraryImport("libc", EntryPoint = "dup")]
    private static partial int Duplicate(int descriptor);

    [Fact]
    public async Task Saver_DiskThatWasFull_IsTriedAgain_AndSaysSoOnce()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        using var log = new TunnelLog("hub", time);
        int attempts = 0;
        bool isFull = true;
        using StateStore store = StateStore.Open(_folder.Path, step =>
        {
            if (step != AtomicFileStep.Create)
                return;
            Interlocked.Increment(ref attempts);
            if (Volatile.Read(ref isFull))
                throw new IOException("No space left on device");
        });
        using (var saver = new StateSaver(store, ClientState(), log, time))
        {
            saver.Save(state => state);
            saver.Save(state => state with { PeerPolicies = Changed });
            for (int expected = 1; expected <= 4; expected++)
            {
                while (Volatile.Read(ref attempts) < expected)
                {
                    time.Advance(TimeSpan.FromSeconds(1));
                    await Task.Delay(5, TestContext.Current.CancellationToken);
                }
            }

            Volatile.Write(ref isFull, false);
            while (!log.Read().Any(entry => entry.Message == "The state is saved again"))
            {
                time.Advance(TimeSpan.FromSeconds(1));
                await Task.Delay(5, TestContext.Current.CancellationToken);
            }

            Assert.Single(log.Read(0, LogLevel.Error));
            Assert.Equal(Changed, store.Load(TunnelRole.Client)!.PeerPolicies);
        }
    }

    [Fact]
    public void Saver_DisposedWhileTheDiskIsFull_TriesOnceMoreAndEnds()
    {
        using var log = new TunnelLog("hub", TimeProvider.System);
        using StateStore store = StateStore.Open(_folder.Path, step => throw new IOException("No space left on device"));
        var saver = new StateSaver(store, ClientState(), log);
        saver.Save(state => state with { PeerPolicies = Changed });

        saver.Dispose();

        Assert.Single(log.Read(0, LogLevel.Error));
    }

    private static Dictionary<PublicKey, PathPolicy> Changed => new() { [ControlMessageTests.Key(8)] = PathPolicy.RelayOnly };

    private static NodeState ServerState(int seed = 1) => new()
    {
        Role = TunnelRole.Server,
        PrivateKey = new ByteMutator(seed).Random(32),
        NetworkKeys = new NetworkKeySet { Key = new ByteMutator(seed + 2).Random(32) }
            .Follow(
                new ByteMutator(seed + 1).Random(32), 29_000_000, new DateTimeOffset(2026, 1, 1, 2, 3, 4, TimeSpan.Zero),
                TimeSpan.FromDays(9)),
        Network = LeaseCodec.ToContents("home", 4,
        [
            new Lease
            {
                MemberId = 2,
                PublicKey = ControlMessageTests.Key(2),
                Name = "laptop",
                Addresses = [ControlMessageTests.Address("10.0.0.2"), ControlMessageTests.Address("fd00::2")],
                Created = new DateTimeOffset(2026, 1, 1, 2, 3, 4, 567, TimeSpan.FromHours(1)),
                LastSeen = new DateTimeOffset(2026, 2, 1, 2, 3, 4, 567, TimeSpan.Zero),
            },
            new Lease
            {
                MemberId = 3,
                PublicKey = ControlMessageTests.Key(3),
                Name = "b",
                Addresses = [],
                Created = default,
                LastSeen = default,
            },
        ]),
    };

    private static NodeState ClientState() => new()
    {
        Role = TunnelRole.Client,
        PrivateKey = new ByteMutator(9).Random(32),
        LastAddresses = new Dictionary<PublicKey, IReadOnlyList<InterfaceAddress>>
        {
            [ControlMessageTests.Key(5)] = [ControlMessageTests.Interface("10.0.0.7/24"), ControlMessageTests.Interface("fd00::7/64")],
        },
        Signing = new Dictionary<PublicKey, SigningMemory>
        {
            [ControlMessageTests.Key(5)] = new(
                [SigningSamples.AdminsKey(1), SigningSamples.AdminsKey(2)], [new(ControlMessageTests.Key(6), SigningSamples.Issued)]),
        },
        Pins = new Dictionary<PublicKey, IReadOnlyList<MemberPin>>
        {
            [ControlMessageTests.Key(5)] =
            [
                new MemberPin(ControlMessageTests.Key(6), "nas", [Address("10.0.0.20"), Address("fd00::20")], new DateOnly(2026, 1, 31)),
                new MemberPin(ControlMessageTests.Key(7), "laptop", [Address("10.0.0.21")], new DateOnly(2026, 2, 1)),
            ],
        },
        PeerPolicies = new Dictionary<PublicKey, PathPolicy>
        {
            [ControlMessageTests.Key(6)] = PathPolicy.DirectOnly,
            [ControlMessageTests.Key(7)] = PathPolicy.Auto,
        },
        ToldKeys = new Dictionary<PublicKey, NetworkKeySet>
        {
            [ControlMessageTests.Key(5)] = ServerState().NetworkKeys!,
            [ControlMessageTests.Key(6)] = new NetworkKeySet { Key = new ByteMutator(3).Random(32), Number = 7 },
        },
    };

    /// <summary>What a descriptor's link leads to; null for one that another test has closed meanwhile.</summary>
    private static string? TargetOf(string link)
    {
        try
        {
            return File.ResolveLinkTarget(link, returnFinalTarget: false)?.FullName;
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    private static TunnelAddress Address(string text) => TunnelAddress.FromIPAddress(IPAddress.Parse(text));

    private static void AssertSame(NodeState expected, NodeState? actual)
    {
        Assert.NotNull(actual);
        Assert.Equal(StateFile.Encode(expected), StateFile.Encode(actual));
        Assert.Equal(expected.PrivateKey, actual.PrivateKey);
        AssertSame(expected.NetworkKeys, actual.NetworkKeys);
        Assert.Equal(expected.ToldKeys.Keys, actual.ToldKeys.Keys);
        foreach ((PublicKey server, NetworkKeySet keys) in expected.ToldKeys)
            AssertSame(keys, actual.ToldKeys[server]);
    }

    private static void AssertSame(NetworkKeySet? expected, NetworkKeySet? actual)
    {
        Assert.Equal(expected is null, actual is null);
        if (expected is null || actual is null)
            return;
        Assert.Equal((expected.Number, expected.Changed), (actual.Number, actual.Changed));
        Assert.Equal(expected.Key, actual.Key);
        Assert.Equal(expected.Replaced, actual.Replaced);
        Assert.Equal(expected.Former.Select(key => (key.Number, key.Until)), actual.Former.Select(key => (key.Number, key.Until)));
        Assert.Equal(expected.Former.Select(key => key.Key), actual.Former.Select(key => key.Key));
    }

    private static LightTunnelException Fails(LightTunnelError expected, Action action)
    {
        LightTunnelException exception = Assert.Throws<LightTunnelException>(action);
        Assert.True(exception.Error == expected, $"{exception.Error}: {exception.Message}");
        Assert.NotEmpty(exception.RecommendedAction);
        return exception;
    }

    [Fact]
    public void Load_NewFolder_HasNoStateAndIsClosedToOthers()
    {
        string path = Path.Combine(_folder.Path, "a", "b");
        using StateStore store = StateStore.Open(path);
        Assert.Null(store.Load(TunnelRole.Server));
        store.Save(ServerState());
        if (OperatingSystem.IsWindows())
            return;
        Assert.Equal(OwnerFolder, File.GetUnixFileMode(path));
        Assert.Equal(OwnerFile, File.GetUnixFileMode(store.FilePath));
        Assert.Equal(OwnerFile, File.GetUnixFileMode(Path.Combine(path, StateStore.LockName)));
    }

    [Fact]
    public void Open_ExistingFolder_IsClosedToOthersUnlessItServesSomethingElse()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("Windows has no file modes.");
            return;
        }

        const UnixFileMode Open = OwnerFolder | UnixFileMode.GroupRead | UnixFileMode.GroupExecute;
        string empty = Directory.CreateDirectory(_folder.File("empty"), Open).FullName;
        string foreign = Directory.CreateDirectory(_folder.File("foreign"), Open).FullName;
        File.WriteAllText(Path.Combine(foreign, "photo.jpg"), "x");
        UnixFileMode before = File.GetUnixFileMode(foreign);
        StateStore.Open(empty).Dispose();
        StateStore.Open(foreign).Dispose();
        Assert.Equal(OwnerFolder, File.GetUnixFileMode(empty));
        Assert.Equal(before, File.GetUnixFileMode(foreign));
    }

    [Fact]
    public void Load_WhatWasSaved_GivesItBack()
    {
        using (StateStore store = StateStore.Open(_folder.File("s")))
            store.Save(ServerState());
        using (StateStore store = StateStore.Open(_folder.File("s")))
        {
            NodeState state = store.Load(TunnelRole.Server)!;
            AssertSame(ServerState(), state);
            Lease expected = LeaseCodec.ReadAll(ServerState().Network)[0];
            Lease actual = LeaseCodec.ReadAll(state.Network)[0];
            Assert.Equal(expected with { Addresses = [] }, actual with { Addresses = [] });
            Assert.Equal(expected.Addresses, actual.Addresses);
        }

        using StateStore client = StateStore.Open(_folder.File("c"));
        client.Save(ClientState());
        AssertSame(ClientState(), client.Load(TunnelRole.Client));
        client.Save(ServerState() with { NetworkKeys = null, Network = StoreContents.Empty });
        Assert.Null(client.Load(TunnelRole.Server)!.NetworkKeys);
    }

    [Fact]
    public void Load_StateOfTheOtherRole_IsRefused()
    {
        using StateStore store = StateStore.Open(_folder.File("s"));
        store.Save(ServerState());
        LightTunnelException exception = Fails(LightTunnelError.InvalidState, () => store.Load(TunnelRole.Client));
        Assert.Contains("is of a server, not of a client", exception.Message, StringComparison.Ordinal);
        Assert.Contains(store.FilePath, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_FolderInUse_IsRefusedUntilItIsLetGo()
    {
        string path = _folder.File("s");
        using (StateStore.Open(path))
        {
            LightTunnelException exception = Fails(LightTunnelError.StateInUse, () => StateStore.Open(path));
            Assert.Contains(path, exception.Message, StringComparison.Ordinal);
            if (OperatingSystem.IsLinux())
                Assert.Contains($"(process {Environment.ProcessId})", exception.Message, StringComparison.Ordinal);
        }

        StateStore.Open(path).Dispose();
    }

    [Fact]
    public async Task Open_HolderWasKilled_IsPossibleAgain()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists("/usr/bin/flock"), "needs flock");
        string path = _folder.File("s");
        StateStore.Open(path).Dispose();
        string ready = _folder.File("ready");
        using Process holder = Process.Start(
            "/usr/bin/flock", ["--no-fork", Path.Combine(path, StateStore.LockName), "sh", "-c", $"echo > {ready}; exec sleep 60"]);
        while (!File.Exists(ready))
            await Task.Delay(10, TestContext.Current.CancellationToken);
        Fails(LightTunnelError.StateInUse, () => StateStore.Open(path));
        holder.Kill();
        await holder.WaitForExitAsync(TestContext.Current.CancellationToken);
        StateStore.Open(path).Dispose();
    }

    [Fact]
    public void Save_PowerCutAtEveryStepAndByte_LeavesTheOldStateOrTheNew()
    {
        string path = _folder.File("s");
        NodeState old = ServerState(1) with { Network = StoreContents.Empty };
        NodeState changed = ServerState(50) with { Network = StoreContents.Empty };
        int steps = 0;
        using (StateStore store = StateStore.Open(path, _ => steps++))
            store.Save(changed);
        Assert.InRange(steps, StateFile.Encode(changed).Length + 4, StateFile.Encode(changed).Length + 10);
        File.Delete(Path.Combine(path, StateStore.FileName));

        int newer = 0;
        for (int cut = 1; cut <= steps; cut++)
        {
            File.WriteAllBytes(Path.Combine(path, StateStore.FileName), StateFile.Encode(old));
            int step = 0;
            using (StateStore store = StateStore.Open(path, _ =>
            {
                if (++step == cut)
                    throw new PowerCut();
            }))
            {
                Assert.Throws<PowerCut>(() => store.Save(changed));
            }

            using StateStore after = StateStore.Open(path);
            NodeState state = after.Load(TunnelRole.Server)!;
            bool isNew = state.PrivateKey.AsSpan().SequenceEqual(changed.PrivateKey);
            AssertSame(isNew ? changed : old, state);
            newer += isNew ? 1 : 0;
            if (cut % 50 != 0)
                continue;
            after.Save(changed);
            AssertSame(changed, after.Load(TunnelRole.Server));
        }

        // Only the very last step, forcing the folder to the disk, comes after the new file is in its place.
        Assert.Equal(1, newer);
    }

    [Fact]
    public void Load_DamagedTemporaryFile_IsIgnored()
    {
        using StateStore store = StateStore.Open(_folder.File("s"));
        store.Save(ServerState());
        File.WriteAllText(AtomicFile.TemporaryPath(store.FilePath), "garbage");
        AssertSame(ServerState(), store.Load(TunnelRole.Server));
        store.Save(ServerState(70));
        AssertSame(ServerState(70), store.Load(TunnelRole.Server));
        Assert.False(File.Exists(AtomicFile.TemporaryPath(store.FilePath)));
    }

    [Fact]
    public void Load_CutShortAnywhere_IsAnErrorNeverANewIdentity()
    {
        using StateStore store = StateStore.Open(_folder.File("s"));
        byte[] content = StateFile.Encode(ClientState());
        for (int length = 0; length < content.Length; length++)
        {
            File.WriteAllBytes(store.FilePath, content[..length]);
            LightTunnelException exception = Fails(LightTunnelError.InvalidState, () => store.Load(TunnelRole.Client));
            Assert.Contains(store.FilePath, exception.Message, StringComparison.Ordinal);
            Assert.Contains("backup", exception.RecommendedAction, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Decode_AnyDamage_IsInvalidStateAndShowsNoSecret()
    {
        foreach (NodeState state in new[] { ServerState(), ClientState() })
        {
            byte[] good = StateFile.Encode(state);
            string secret = Convert.ToBase64String(state.PrivateKey);
            var mutator = new ByteMutator(8);
            for (int i = 0; i < Fuzz.Count(10_000); i++)
            {
                byte[] bytes = i % 20 == 0 ? mutator.Random(i % 500) : mutator.Mutate(good);
                try
                {
                    AssertSame(state, StateFile.Decode(bytes, "x"));
                }
                catch (LightTunnelException exception)
                {
                    Assert.Equal(LightTunnelError.InvalidState, exception.Error);
                    Assert.DoesNotContain(secret, exception.Message, StringComparison.Ordinal);
                }
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Decode_DigestRightAndContentHostile_ThrowsInvalidStateOnly(int version)
    {
        byte[] good = version == 1 ? Encoding.ASCII.GetBytes(FirstStateFileTests.Server) : StateFile.Encode(ServerState());
        byte[] body = good[(good.AsSpan().IndexOf((byte)'\n') + 1)..^1];
        var mutator = new ByteMutator(9);
        int damaged = 0;
        for (int i = 0; i < Fuzz.Count(10_000); i++)
        {
            byte[] mutated = mutator.Mutate(body);
            string hash = Convert.ToHexStringLower(SHA256.HashData(mutated));
            string header = $$"""{"format":"LightTunnel state","version":{{version}},"sha256":"{{hash}}"}""";
            try
            {
                StateFile.Decode((byte[])[.. Encoding.ASCII.GetBytes(header), (byte)'\n', .. mutated, (byte)'\n'], "x");
            }
            catch (LightTunnelException exception)
            {
                Assert.Equal(LightTunnelError.InvalidState, exception.Error);
                damaged++;
            }
        }

        Assert.InRange(damaged, Fuzz.Count(5000), Fuzz.Count(10_000) - 1);
    }

    [Theory]
    [InlineData("{\"format\":\"LightTunnel state\",\"version\":3,\"sha256\":\"\"}\n{}\n", "newer LightTunnel")]
    [InlineData("{\"format\":\"something\",\"version\":1,\"sha256\":\"\"}\n{}\n", "not a LightTunnel state file")]
    [InlineData("{\"format\":\"LightTunnel state\",\"version\":1,\"sha256\":\"\"}\n{}\n", "checksum")]
    [InlineData("{}\n{}\n", "could not be read")]
    [InlineData("", "empty")]
    [InlineData("x", "cut short")]
    public void Decode_NotAsWritten_SaysWhy(string content, string expected) =>
        Assert.Contains(
            expected, Fails(LightTunnelError.InvalidState, () => StateFile.Decode(Encoding.UTF8.GetBytes(content), "x")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Open_PathIsAFile_NamesIt()
    {
        string path = _folder.Write("file", "x");
        Assert.Contains(path, Fails(LightTunnelError.FileAccess, () => StateStore.Open(path)).Message, StringComparison.Ordinal);
        Assert.Contains(
            path, Fails(LightTunnelError.FileAccess, () => StateStore.Open(Path.Combine(path, "below"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Save_FolderIsGone_NamesTheFile()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows keeps a folder with an open file.");
        using StateStore store = StateStore.Open(_folder.File("s"));
        Directory.Delete(store.Folder, recursive: true);
        Assert.Contains(
            store.FilePath, Fails(LightTunnelError.FileAccess, () => store.Save(ServerState())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_FileIsAFolder_NamesIt()
    {
        using StateStore store = StateStore.Open(_folder.File("s"));
        Directory.CreateDirectory(store.FilePath);
        Assert.Contains(
            store.FilePath, Fails(LightTunnelError.FileAccess, () => store.Load(TunnelRole.Server)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Dispose_State_ZeroesItsSecretsAndNeverShowsThem()
    {
        NodeState state = ServerState();
        Assert.Equal("(state of a Server)", state.ToString());
        state.Dispose();
        Assert.All(state.PrivateKey, value => Assert.Equal(0, value));
        Assert.All(state.NetworkKeys!.Key, value => Assert.Equal(0, value));
    }
}
